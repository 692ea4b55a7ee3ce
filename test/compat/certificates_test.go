package compat

import (
	"os"
	"path/filepath"
	"testing"
)

// askFor makes a key and asks a signer for its certificate, as whoever KUBECONFIG is.
const askFor = `
ask() { # name, subject, signer, usages
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" -subj "$2" 2>/dev/null
  kubectl create -f - <<END
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: $1}
spec: {request: $(base64 -w0 "$1.csr"), signerName: $3, expirationSeconds: 7200, usages: [$4]}
END
}
# A kubeconfig with the certificate that was asked for, by a request that KUBECONFIG may read.
become() { # name
  kubectl wait csr "$1" --for=jsonpath='{.status.certificate}' --timeout=20s
  kubectl get csr "$1" -o jsonpath='{.status.certificate}' | base64 -d > "$1.crt"
  kubectl config view --flatten --minify > "$1.kubeconfig"
  kubectl --kubeconfig "$1.kubeconfig" config unset users >/dev/null
  kubectl --kubeconfig "$1.kubeconfig" config set-credentials me --client-certificate "$1.crt" --client-key "$1.key" --embed-certs
  kubectl --kubeconfig "$1.kubeconfig" config set-context --current --user me
}
`

// TestCertificatesByRequest has people and nodes get certificates as the documentation of
// Kubernetes tells them to.
func TestCertificatesByRequest(t *testing.T) {
	s := newStage(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "lib"), []byte(askFor), 0o600); err != nil {
		t.Fatal(err)
	}
	in := "set -e; cd " + dir + "; . ./lib; "
	s.conforms(t, "a person is who the approved certificate says", func(t *testing.T) {
		s.sh(t, in+"ask ann /O=dev/CN=ann kubernetes.io/kube-apiserver-client 'client auth'")
		t.Cleanup(func() { s.sh(t, "kubectl delete csr ann") })
		contains(t, s.sh(t, "kubectl get csr ann"), "SIGNERNAME", "kubernetes.io/kube-apiserver-client", "kubernetes-admin", "120m", "Pending")
		contains(t, s.sh(t, "kubectl certificate approve ann; "+in+"become ann; kubectl get csr ann"), "Approved,Issued")
		as := "cd " + dir + "; export KUBECONFIG=ann.kubeconfig; "
		contains(t, s.sh(t, as+"kubectl auth whoami"), "ann", "[dev system:authenticated]")
		contains(t, s.fails(t, as+"kubectl get pods -n "+s.ns), `User "ann" cannot list resource "pods"`)
		s.sh(t, "kubectl create rolebinding ann --clusterrole view --group dev -n "+s.ns)
		s.sh(t, as+"kubectl get pods -n "+s.ns)
		contains(t, s.sh(t, "cd "+dir+"; openssl x509 -in ann.crt -noout -ext extendedKeyUsage,basicConstraints"), "CA:FALSE", "TLS Web Client Authentication")
	})
	s.conforms(t, "nobody gets what nobody may have", func(t *testing.T) {
		contains(t, s.fails(t, in+"ask masters /O=system:masters/CN=eve kubernetes.io/kube-apiserver-client 'client auth'"),
			"use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed")
		s.sh(t, in+"ask server /CN=eve kubernetes.io/kube-apiserver-client 'server auth'; ask denied /CN=eve kubernetes.io/kube-apiserver-client 'client auth'")
		t.Cleanup(func() { s.sh(t, "kubectl delete csr server denied") })
		s.sh(t, "kubectl certificate approve server; kubectl certificate deny denied; kubectl wait csr server --for=condition=Failed --timeout=20s")
		contains(t, s.sh(t, "kubectl get csr server denied"), "Approved,Failed", "Denied")
		contains(t, s.sh(t, "kubectl get csr server -o yaml"), "SignerValidationFailure", "invalid usage for client certificate: server auth")
		contains(t, s.sh(t, in+"ask foreign /CN=eve example.com/a 'client auth' 2>&1; kubectl delete csr foreign"), "Warning: spec.signerName: no signer of Laterna's has this name")
	})
	s.conforms(t, "a node that may join gets its certificate, and renews it itself", func(t *testing.T) {
		s.sh(t, "kubectl create serviceaccount joins -n "+s.ns+`
for role in system:node-bootstrapper system:certificates.k8s.io:certificatesigningrequests:nodeclient; do
  kubectl create clusterrolebinding "joins-${role##*:}" --clusterrole "$role" --serviceaccount `+s.ns+`:joins
done
kubectl create clusterrolebinding nodes-renew --clusterrole system:certificates.k8s.io:certificatesigningrequests:selfnodeclient --group system:nodes`)
		t.Cleanup(func() {
			s.sh(t, "kubectl delete clusterrolebinding joins-node-bootstrapper joins-nodeclient nodes-renew; kubectl delete csr joining renewed")
		})
		const usages = "digital signature, client auth"
		s.sh(t, in+`
kubectl config view --flatten --minify > joins.kubeconfig
kubectl --kubeconfig joins.kubeconfig config unset users
kubectl --kubeconfig joins.kubeconfig config set-credentials me --token "$(kubectl create token joins -n `+s.ns+`)"
kubectl --kubeconfig joins.kubeconfig config set-context --current --user me
export KUBECONFIG=joins.kubeconfig
ask joining /O=system:nodes/CN=system:node:other kubernetes.io/kube-apiserver-client-kubelet '`+usages+`'; become joining
export KUBECONFIG=joining.kubeconfig
ask renewed /O=system:nodes/CN=system:node:other kubernetes.io/kube-apiserver-client-kubelet '`+usages+`'; become renewed`)
		as := in + "export KUBECONFIG=renewed.kubeconfig; "
		contains(t, s.sh(t, as+"kubectl auth whoami"), "system:node:other", "system:nodes")
		contains(t, s.fails(t, as+"kubectl get secrets -A"), "forbidden")
		contains(t, s.fails(t, as+"ask stolen /O=system:nodes/CN=system:node:third kubernetes.io/kube-apiserver-client-kubelet '"+usages+"'"),
			"can only create a node CSR with CN=system:node:other")
	})
}
