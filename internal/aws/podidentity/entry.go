package podidentity

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// The annotations, after the prefix and a slash. The first three stand on service accounts,
// skip-containers on pods, token-expiration on both.
const (
	roleKey       = "role-arn"
	audienceKey   = "audience"
	regionalKey   = "sts-regional-endpoints"
	expirationKey = "token-expiration"
	skipKey       = "skip-containers"
)

// SkipLabel on a pod keeps the webhook away from it, whatever its value.
const SkipLabel = "eks.amazonaws.com/skip-pod-identity-webhook"

func (s *Settings) key(name string) string { return s.Prefix + "/" + name }

// Entry is what is said of the pods of a service account, completed by the settings. In
// JSON it is what the ConfigMap has.
type Entry struct {
	RoleARN         string
	Audience        string
	UseRegionalSTS  bool
	TokenExpiration int64
}

// OfAccount is what the annotations of a service account say. RoleARN is empty where there
// is no role; the rest counts for container credentials even then.
func (s *Settings) OfAccount(annotations map[string]string) Entry {
	e := Entry{Audience: s.Audience, UseRegionalSTS: s.RegionalSTS, TokenExpiration: s.Expiration}
	if role, ok := annotations[s.key(roleKey)]; ok {
		if s.RoleBase != "" && !strings.Contains(role, "arn:") {
			role = s.RoleBase + role
		}
		e.RoleARN = role
	}
	if audience, ok := annotations[s.key(audienceKey)]; ok {
		e.Audience = audience
	}
	if regional, err := strconv.ParseBool(annotations[s.key(regionalKey)]); err == nil {
		e.UseRegionalSTS = regional
	}
	if seconds, err := strconv.ParseInt(annotations[s.key(expirationKey)], 10, 64); err == nil {
		e.TokenExpiration = Floor(seconds)
	}
	return e
}

// ofPod is what the annotations of a pod say.
func (s *Settings) ofPod(annotations map[string]string, expiration int64) (seconds int64, skip map[string]bool) {
	if asked, err := strconv.ParseInt(annotations[s.key(expirationKey)], 10, 64); err == nil {
		expiration = Floor(asked)
	}
	names, _ := skipped(annotations[s.key(skipKey)])
	for _, name := range names {
		if skip == nil {
			skip = map[string]bool{}
		}
		skip[name] = true
	}
	return expiration, skip
}

// skipped reads a list of containers: the first line of CSV.
func skipped(list string) ([]string, error) {
	if list == "" {
		return nil, nil
	}
	names, err := csv.NewReader(strings.NewReader(list)).Read()
	if err != nil {
		return nil, err // the reader returns what came before
	}
	return names, nil
}

// The ConfigMap, in a namespace of the operator's choice, and its key.
const (
	ConfigMapName = "pod-identity-webhook"
	ConfigMapKey  = "config"
)

// Entries are the service accounts of the ConfigMap, by namespace and name with a slash
// between. A namespace may be *, which no other pattern may.
type Entries map[string]Entry

// ParseEntries reads the key of the ConfigMap.
func (s *Settings) ParseEntries(config string) (Entries, error) {
	if config == "" {
		return nil, nil
	}
	var read map[string]*Entry
	if err := json.Unmarshal([]byte(config), &read); err != nil {
		return nil, fmt.Errorf("key %s: %w", ConfigMapKey, err)
	}
	out := Entries{}
	for _, key := range slices.Sorted(maps.Keys(read)) {
		parts := strings.Split(key, "/")
		switch {
		case len(parts) < 2:
			return nil, fmt.Errorf("key %s: %q is not NAMESPACE/SERVICEACCOUNT", ConfigMapKey, key)
		case read[key] == nil:
			return nil, fmt.Errorf("key %s: %q has no entry", ConfigMapKey, key)
		}
		e := *read[key]
		if e.TokenExpiration == 0 {
			e.TokenExpiration = s.Expiration
		}
		out[parts[0]+"/"+parts[1]] = e
	}
	return out, nil
}

// of looks a service account up: by its own name, else by that of any namespace.
func (e Entries) of(namespace, account string) (Entry, bool) {
	if found, ok := e[namespace+"/"+account]; ok {
		return found, true
	}
	found, ok := e["*/"+account]
	return found, ok
}

// Identities are the service accounts whose pods have container credentials, by namespace
// and name with a slash between.
type Identities map[string]Identity

// Identity is what is said of such a service account. The webhook knows nothing of it: on
// EKS it is the pod identity association, which an administrator of the account makes.
type Identity struct {
	// RoleARN is the role that its pods become; empty is none.
	RoleARN string `json:"roleArn"`
	// DisableSessionTags begins sessions without the tags of the pod.
	DisableSessionTags bool `json:"disableSessionTags"`
	// TargetRoleARN and Policy are of associations, too, and nobody here honours them.
	TargetRoleARN string `json:"targetRoleArn"`
	Policy        string `json:"policy"`
}

// ParseIdentities reads the file that lists them; an empty one lists none.
func ParseIdentities(raw []byte) (Identities, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	var read struct {
		Identities []struct {
			Namespace      string `json:"namespace"`
			ServiceAccount string `json:"serviceAccount"`
			Identity
		} `json:"identities"`
	}
	if err := json.Unmarshal(raw, &read); err != nil {
		return nil, err
	}
	out := Identities{}
	for _, i := range read.Identities {
		out[i.Namespace+"/"+i.ServiceAccount] = i.Identity
	}
	return out, nil
}

// Of returns what is said of a service account, false for nothing.
func (i Identities) Of(namespace, account string) (Identity, bool) {
	found, ok := i[namespace+"/"+account]
	return found, ok
}
