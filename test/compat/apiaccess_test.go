package compat

import (
	"path/filepath"
	"strings"
	"testing"
)

// inCurl is what the documents type in a pod before all else, but for the name: the address
// of kubernetes is given beside it.
const inCurl = `set -eu
dir=/var/run/secrets/kubernetes.io/serviceaccount
TOKEN=$(cat $dir/token)
NS=$(cat $dir/namespace)
name="--resolve kubernetes:443:$KUBERNETES_SERVICE_HOST"
ask() { curl -s $name -o /tmp/answer -w '%{http_code} ' -H "Authorization: Bearer $TOKEN" "$@"; }
`

// curlSays runs a script in the pod named curl.
func (s *system) curlSays(t *testing.T, script string) string {
	t.Helper()
	return strings.TrimSpace(s.exec(t, "default", "curl", "bash", "-c", inCurl+script))
}

// TestB5AndB6CurlInAPod has curl trust the server by the pod's own files, and do with
// objects what the pod's service account may, on a system of its own: all service accounts
// are bound to cluster-admin.
func TestB5AndB6CurlInAPod(t *testing.T) {
	t.Parallel()
	s := prepared(t)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	s.sh(t, "laterna image import --data-dir "+s.Dir+" "+filepath.Join(imageDir, "tutum-curl.tar"))
	s.apply(t, "default", curlPod)
	s.running(t, "default", "curl")

	distrusts := s.curlSays(t, `curl -sS $name https://kubernetes 2>&1 || echo "exit $?"`)
	contains(t, distrusts, "curl: (60) SSL certificate problem: unable to get local issuer certificate", "exit 60")
	const code = ` -s $name -o /dev/null -w '%{http_code} %{ssl_verify_result}' https://kubernetes`
	if got := s.curlSays(t, "curl --cacert $dir/ca.crt"+code); got != "403 0" {
		t.Errorf("with the CA, without a token: %s", got)
	}
	if got := s.curlSays(t, "export CURL_CA_BUNDLE=$dir/ca.crt; curl"+code); got != "403 0" {
		t.Errorf("with CURL_CA_BUNDLE, without a token: %s", got)
	}
	if got := s.curlSays(t, `export CURL_CA_BUNDLE=$dir/ca.crt; curl -H "Authorization: Bearer nonsense"`+code); got != "401 0" {
		t.Errorf("with a token that is none: %s", got)
	}

	const objects = `export CURL_CA_BUNDLE=$dir/ca.crt
api=https://kubernetes/api/v1/namespaces/$NS
json='Content-Type: application/json'
map() { printf '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"by-curl"},"data":{"key":"%s"}}' "$1"; }
ask https://kubernetes
ask $api/pods
ask -X POST -H "$json" -d "$(map made)" $api/configmaps
ask -X PUT -H "$json" -d "$(map put)" $api/configmaps/by-curl
ask -X PATCH -H 'Content-Type: application/merge-patch+json' -d '{"data":{"key":"patched"}}' $api/configmaps/by-curl
ask $api/configmaps/by-curl; grep -o '"key": *"[a-z]*"' /tmp/answer | tr -d ' \n' || true; printf ' '
ask -X DELETE $api/configmaps/by-curl
ask $api/configmaps/by-curl
`
	if got := s.curlSays(t, objects); got != "403 403 403 403 403 403  403 403" {
		t.Errorf("before it is allowed: %s", got)
	}
	s.sh(t, "kubectl create clusterrolebinding permissive-binding --clusterrole=cluster-admin --group=system:serviceaccounts")
	if got := s.curlSays(t, objects); got != `200 200 201 200 200 200 "key":"patched" 200 404` {
		t.Errorf("when it is allowed: %s", got)
	}
	paths := s.curlSays(t, `curl -s $name --cacert $dir/ca.crt -H "Authorization: Bearer $TOKEN" https://kubernetes`)
	contains(t, paths, `"/api/v1"`, `"/apis/apps"`)
}
