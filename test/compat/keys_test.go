package compat

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// keyServer starts a system without a node whose clock can be moved and whose tokens
// end when they say.
func keyServer(t *testing.T, flags ...string) *system {
	t.Helper()
	return started(t, append([]string{"--node=false", "--test-clock", "--service-account-extend-token-expiration=false"}, flags...)...)
}

// advance moves the clock.
func (s *system) advance(t testing.TB, d time.Duration) {
	t.Helper()
	s.sh(t, fmt.Sprintf("laterna clock advance --data-dir %s -- %s", s.Dir, d))
}

// keyOf returns the key ID in the header of a token.
func keyOf(t testing.TB, token string) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
	if err != nil {
		t.Fatal(err)
	}
	var header struct {
		KeyID string `json:"kid"`
	}
	if err := json.Unmarshal(raw, &header); err != nil || header.KeyID == "" {
		t.Fatalf("header %s: %v", raw, err)
	}
	return header.KeyID
}

// issue returns a token for the default service account.
func (s *system) issue(t testing.TB, life time.Duration) (token, key string) {
	t.Helper()
	token = strings.TrimSpace(s.sh(t, "kubectl create token default --duration "+life.String()))
	return token, keyOf(t, token)
}

// published returns the key IDs of the key set, as anybody gets it, and for how many
// seconds it may be kept.
func (s *system) published(t testing.TB) (ids []string, maxAge int) {
	t.Helper()
	config := rest.AnonymousClientConfig(s.config(t))
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Get(config.Host + "/openid/v1/jwks")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v: %s", resp.Status, err, raw)
	}
	var set struct {
		Keys []struct {
			ID string `json:"kid"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		t.Fatal(err)
	}
	for _, k := range set.Keys {
		ids = append(ids, k.ID)
	}
	age, ok := strings.CutPrefix(resp.Header.Get("Cache-Control"), "public, max-age=")
	if maxAge, err = strconv.Atoi(age); err != nil || !ok {
		t.Fatalf("Cache-Control %q", resp.Header.Get("Cache-Control"))
	}
	return ids, maxAge
}

// keyStates returns what kubectl says: the state of every key by its ID.
func (s *system) keyStates(t testing.TB) map[string]string {
	t.Helper()
	states := map[string]string{}
	for line := range strings.Lines(s.sh(t, `kubectl get signingkeys -o jsonpath='{range .items[*]}{.status.keyID} {.status.state}{"\n"}{end}'`)) {
		id, state, _ := strings.Cut(strings.TrimSpace(line), " ")
		states[id] = state
	}
	return states
}

// signsWithout waits until new tokens are signed with another key than that one.
func (s *system) signsWithout(t testing.TB, old string) (key string) {
	t.Helper()
	eventually(t, 5*time.Second, func() error {
		if _, key = s.issue(t, time.Hour); key == old {
			return errors.New("the old key still signs")
		}
		return nil
	})
	return key
}

// accepted fails unless the API accepts a token, or refuses it for a reason.
func (s *system) accepted(t testing.TB, when, token, refusal string, audiences ...string) {
	t.Helper()
	r := review(t, s, token, audiences...)
	switch {
	case refusal == "" && !r.Authenticated:
		t.Errorf("%s: refused: %s", when, r.Error)
	case refusal != "" && (r.Authenticated || !strings.Contains(r.Error, refusal)):
		t.Errorf("%s: %+v, want a refusal that says %q", when, r, refusal)
	}
}

// TestKeyRotation follows a rotation from the command to the end of the old key's last
// token.
func TestKeyRotation(t *testing.T) {
	t.Parallel()
	s := keyServer(t)
	token, old := s.issue(t, 8*time.Hour)
	if ids, age := s.published(t); !slices.Equal(ids, []string{old}) || age != 3600 {
		t.Errorf("%v are published for %d s at first", ids, age)
	}
	out := s.sh(t, "laterna keys rotate --type ECDSAP256 --data-dir "+s.Dir)
	contains(t, out, "(ECDSAP256) is published now and signs from ", "(RSA2048) signs until then")

	ids, age := s.published(t)
	if len(ids) != 2 || ids[0] != old || age < 3500 {
		t.Fatalf("%v are published for %d s after the rotation", ids, age)
	}
	next := ids[1]
	s.advance(t, 50*time.Minute)
	if _, age := s.published(t); age > 602 || age < 500 {
		t.Errorf("the key set may be kept for %d s, ten minutes before it is used otherwise", age)
	}
	if _, by := s.issue(t, time.Hour); by != old {
		t.Errorf("%s signs before it was published for an hour", by)
	}
	s.advance(t, 10*time.Minute)
	if by := s.signsWithout(t, old); by != next {
		t.Errorf("%s signs, %s was published", by, next)
	}
	if got := s.keyStates(t); got[old] != "Retired" || got[next] != "Signing" {
		t.Errorf("states %v", got)
	}
	s.accepted(t, "after the old key retired", token, "")
	s.advance(t, 6*time.Hour)
	s.accepted(t, "near its end", token, "")

	s.advance(t, 30*time.Hour)
	eventually(t, 5*time.Second, func() error {
		if ids, _ := s.published(t); !slices.Equal(ids, []string{next}) {
			return fmt.Errorf("%v are published after the end of the last token", ids)
		}
		return nil
	})
	s.accepted(t, "after its end", token, "invalid signature, no keys found")
}

func TestKeyRotationNow(t *testing.T) {
	t.Parallel()
	s := keyServer(t, "--signing-algorithm", "ES384")
	token, old := s.issue(t, time.Hour)
	upcoming := strings.Fields(s.sh(t, "laterna keys rotate --data-dir "+s.Dir))[1]
	contains(t, s.fails(t, "laterna keys rotate --data-dir "+s.Dir), "a rotation is under way", upcoming)
	contains(t, s.sh(t, "laterna keys rotate --now --kubeconfig "+s.Kubeconfig()), "(ECDSAP384) signs now", "does not sign any more")
	fresh, next := s.issue(t, time.Hour)
	if next == old {
		t.Fatal("the old key signs")
	}
	if ids, _ := s.published(t); !slices.Equal(ids, []string{old, next}) {
		t.Errorf("%v are published, want the old and the new key without the one that was overtaken", ids)
	}
	s.accepted(t, "by the old key", token, "")

	byState := func(state string) string {
		return strings.TrimSpace(s.sh(t, fmt.Sprintf(`kubectl get signingkeys -o jsonpath='{.items[?(@.status.state==%q)].metadata.name}'`, state)))
	}
	contains(t, s.fails(t, "kubectl delete signingkey "+byState("Signing")), "the key signs tokens: rotate first")
	s.sh(t, "kubectl delete signingkey --dry-run=server "+byState("Retired"))
	s.accepted(t, "after a dry run", token, "")
	s.sh(t, "kubectl delete signingkey "+byState("Retired"))
	s.accepted(t, "by the withdrawn key", token, "invalid signature, no keys found")
	s.accepted(t, "by the new key", fresh, "")
	if ids, _ := s.published(t); !slices.Equal(ids, []string{next}) {
		t.Errorf("%v are published after the withdrawal", ids)
	}
}

func TestSigningKeysAsObjects(t *testing.T) {
	t.Parallel()
	s := keyServer(t)
	manifest := "apiVersion: identity.laterna.dev/v1alpha1\nkind: SigningKey\nspec: {type: %s}\n"
	create := func(kind, flags string) *exec.Cmd {
		cmd := s.command(t, "bash", "-c", "kubectl create -f - "+flags)
		cmd.Stdin = strings.NewReader(fmt.Sprintf(manifest, kind))
		return cmd
	}
	if out, err := create("ECDSAP521", "--dry-run=server -o yaml").CombinedOutput(); err != nil || !strings.Contains(string(out), "state: Upcoming") {
		t.Errorf("dry run: %v\n%s", err, out)
	}
	if out, err := create("DSA1024", "").CombinedOutput(); err == nil || !strings.Contains(string(out), `spec.type: Unsupported value: "DSA1024"`) {
		t.Errorf("an unknown type: %v\n%s", err, out)
	}
	if n := len(s.keyStates(t)); n != 1 {
		t.Errorf("%d keys after two requests that make none", n)
	}
	if out, err := create("ECDSAP521", "").CombinedOutput(); err != nil || !strings.Contains(string(out), "signingkey.identity.laterna.dev/") {
		t.Fatalf("%v\n%s", err, out)
	}
	table := strings.Split(s.sh(t, "kubectl get signingkeys"), "\n")
	if got := strings.Join(strings.Fields(table[0]), " "); got != "NAME TYPE ALG STATE SIGNS FROM EXPIRES AGE" {
		t.Errorf("columns %s", got)
	}
	contains(t, table[2], "ECDSAP521", "ES512", "Upcoming", "in 60m", "<none>")
	contains(t, s.fails(t, "kubectl label signingkeys --all a=b"), "does not allow this method")
	contains(t, s.sh(t, "kubectl delete signingkey "+strings.Fields(table[2])[0]), "deleted")
	contains(t, s.sh(t, "kubectl create -f ../../docs/examples/signingkey.yaml"), "created")
	contains(t, s.sh(t, "kubectl get signingkeys"), "ECDSAP256   ES256   Upcoming")
	if text := s.sh(t, "kubectl get signingkeys -o yaml"); strings.Contains(text, "PRIVATE") || strings.Contains(text, "pkcs8") {
		t.Errorf("the objects tell a secret:\n%s", text)
	}
	s.sh(t, "kubectl create clusterrolebinding all-of-admin --clusterrole=admin --user=jane")
	for _, verb := range []string{"get", "list", "watch", "create", "delete"} {
		for _, who := range []string{"--as=jane", "--as=system:serviceaccount:default:default --as-group=system:serviceaccounts", "--as=system:node:n --as-group=system:nodes"} {
			contains(t, s.fails(t, fmt.Sprintf("kubectl auth can-i %s signingkeys.identity.laterna.dev %s", verb, who)), "no")
		}
	}
}

// TestSigningKeysSurviveCrashes kills the server between the steps of a rotation.
func TestSigningKeysSurviveCrashes(t *testing.T) {
	t.Parallel()
	s := keyServer(t, "--signing-algorithm", "ES256")
	token, old := s.issue(t, 4*time.Hour)
	s.sh(t, "laterna keys rotate --data-dir "+s.Dir)
	s.advance(t, -30*time.Minute)
	restart := func() {
		s.Kill()
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
	}
	restart()
	ids, _ := s.published(t)
	if len(ids) != 2 || ids[0] != old {
		t.Fatalf("%v are published after a crash", ids)
	}
	s.advance(t, time.Hour)
	if _, by := s.issue(t, time.Hour); by != old {
		t.Errorf("%s signs although the clock was moved back by half an hour", by)
	}
	s.advance(t, 30*time.Minute)
	if by := s.signsWithout(t, old); by != ids[1] {
		t.Errorf("%s signs, %s was published", by, ids[1])
	}
	restart()
	s.accepted(t, "after the second crash", token, "")
	if got := s.keyStates(t); got[old] != "Retired" || got[ids[1]] != "Signing" {
		t.Errorf("states %v", got)
	}
	if out, err := exec.Command("grep", "-rlaF", `"pkcs8"`, s.Dir).CombinedOutput(); len(out) > 0 {
		t.Errorf("private keys lie open in %s (%v)", out, err)
	}
}

// TestAnotherAlgorithmAtTheStart changes the flag of a system whose relying parties
// know the old key.
func TestAnotherAlgorithmAtTheStart(t *testing.T) {
	t.Parallel()
	s := keyServer(t, "--signing-algorithm", "ES256")
	token, old := s.issue(t, 4*time.Hour)
	restart := func() {
		if err := errors.Join(s.Stop(), s.Start()); err != nil {
			t.Fatal(err)
		}
	}
	s.Flags[len(s.Flags)-1] = "ES512"
	restart()
	eventually(t, 5*time.Second, func() error {
		if ids, _ := s.published(t); len(ids) != 2 {
			return fmt.Errorf("%v are published", ids)
		}
		return nil
	})
	if _, by := s.issue(t, time.Hour); by != old {
		t.Errorf("%s signs at once", by)
	}
	restart()
	ids, _ := s.published(t)
	if len(ids) != 2 {
		t.Errorf("%v are published after another start with the same flag", ids)
	}
	s.advance(t, time.Hour)
	s.signsWithout(t, old)
	s.accepted(t, "by the old key", token, "")
	contains(t, s.sh(t, "laterna keys ls --data-dir "+s.Dir), "ECDSAP521   Signing")
}
