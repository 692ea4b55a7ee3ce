package podidentity

import (
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Method is how a pod comes by credentials; the values are those of the webhook's metric.
type Method string

// The methods.
const (
	WebIdentity Method = "sts_web_identity"
	Agent       Method = "container_credentials"
)

// Sources are what is known beside a pod.
type Sources struct {
	// Account is what the annotations of the pod's service account say; nil if it is not
	// known.
	Account *Entry
	// Entries and Identities are those of the ConfigMap and of the file; nil for none.
	Entries    Entries
	Identities Identities
	// Random returns a number from 0 up to n, without n.
	Random func(n int64) int64
}

// Injection is what a pod is to be given.
type Injection struct {
	Method Method
	// RoleARN is empty where only an agent knows the role, FullURI where there is none.
	RoleARN    string
	FullURI    string
	Audience   string
	Expiration int64

	region      string
	regionalSTS bool
	mountPath   string
	volumeName  string
	tokenPath   string
	skip        map[string]bool
}

// Decide returns what a pod in a namespace is to be given, nil for nothing. Container
// credentials come before a role, the annotations of the service account before the
// ConfigMap.
func (s *Settings) Decide(pod *corev1.Pod, namespace string, from Sources) *Injection {
	account := pod.Spec.ServiceAccountName
	if identity, ok := from.Identities.Of(namespace, account); ok {
		return s.agent(pod, namespace, from, identity)
	}
	e := Entry{}
	if from.Account != nil {
		e = *from.Account
	}
	if e.RoleARN == "" {
		e, _ = from.Entries.of(namespace, account)
	}
	if e.RoleARN == "" {
		return nil
	}
	i := &Injection{
		Method: WebIdentity, RoleARN: e.RoleARN, Audience: e.Audience,
		region: s.Region, regionalSTS: e.UseRegionalSTS,
		mountPath: s.MountPath, volumeName: volumeName, tokenPath: tokenPath,
	}
	i.Expiration, i.skip = s.ofPod(pod.Annotations, e.TokenExpiration)
	return i
}

// agent is Decide for a pod of container credentials. Of the service account it takes only
// what both methods have; for one that is unknown, the flags do not count.
func (s *Settings) agent(pod *corev1.Pod, namespace string, from Sources, identity Identity) *Injection {
	c := s.ContainerCredentials
	common := Entry{TokenExpiration: DefaultExpiration}
	if from.Account != nil {
		common = *from.Account
	} else if e, ok := from.Entries[namespace+"/"+pod.Spec.ServiceAccountName]; ok {
		common = e
	}
	i := &Injection{
		Method: Agent, RoleARN: identity.RoleARN, FullURI: c.FullURI, Audience: c.Audience,
		region: s.Region, regionalSTS: common.UseRegionalSTS,
		mountPath: c.MountPath, volumeName: c.VolumeName, tokenPath: c.TokenPath,
	}
	i.Expiration, i.skip = s.ofPod(pod.Annotations, common.TokenExpiration)
	if i.Expiration == DefaultExpiration {
		i.Expiration = leastDefault + from.Random(DefaultExpiration-leastDefault+1)
	}
	return i
}

// tokenFile is the token's path as the processes of a pod see it.
func (i *Injection) tokenFile(pod *corev1.Pod) string {
	return onNode(pod, path.Join(i.mountPath, i.tokenPath))
}

// onNode is a path as the processes of a pod see it.
func onNode(pod *corev1.Pod, file string) string {
	if on := pod.Spec.NodeSelector; on["kubernetes.io/os"] == "windows" || on["beta.kubernetes.io/os"] == "windows" {
		return "C:" + strings.ReplaceAll(file, "/", `\`)
	}
	return file
}
