package compat

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// agentPod has a service account with container credentials and the programs of the machine.
// Its verbs are the name of both, mounts and volumes.
const agentPod = `
apiVersion: v1
kind: Pod
metadata: {name: %[1]s}
spec:
  serviceAccountName: %[1]s
  terminationGracePeriodSeconds: 0
  containers:
  - {name: main, image: busybox:1.28, command: [sleep, "9999999"], env: [{name: HOME, value: /tmp}], volumeMounts: [%[2]s]}
  volumes: [%[3]s]
`

// trustsPods is a role for the pods of a service account.
const trustsPods = `
apiVersion: iam.laterna.dev/v1alpha1
kind: Role
metadata: {name: "111122223333:%[1]s"}
spec:
  assumeRolePolicyDocument: |
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"}, "Action": ["sts:AssumeRole", "sts:TagSession"],
     "Condition": {"StringEquals": {"aws:RequestTag/kubernetes-service-account": "%[1]s"}}}]}
`

// askAgent is what an SDK does, with the token of a file.
const askAgent = `curl -sS -m 20 -H "Authorization: $(cat %s)" http://169.254.170.23/v1/credentials`

const agentToken = "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token"

// TestE6ContainerCredentialsOfPods has SDKs find the agent at 169.254.170.23, which without
// the file is refused (TestE9). Each pod has the role of its own service account.
func TestE6ContainerCredentialsOfPods(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "identities.json")
	const listed = `{"identities": [
		{"namespace": "default", "serviceAccount": "go", "roleArn": "arn:aws:iam::111122223333:role/go"},
		{"namespace": "default", "serviceAccount": "javascript", "roleArn": "arn:aws:iam::111122223333:role/javascript"},
		{"namespace": "default", "serviceAccount": "thief", "roleArn": "arn:aws:iam::111122223333:role/go"}]}`
	if err := os.WriteFile(file, []byte(listed), 0o600); err != nil {
		t.Fatal(err)
	}
	s := started(t, "--container-credentials-file="+file, "--aws-local-sts", "--aws-default-region=eu-central-1")
	s.sh(t, "for a in go javascript thief plain; do kubectl create serviceaccount $a; done")
	clients := awsClients(t)
	delete(clients, "python") // Debian's knows no agent of pods
	for name, c := range clients {
		s.apply(t, "default", fmt.Sprintf(trustsPods, name))
		mounts, volumes := ofThisMachine([]string{c.dir})
		s.apply(t, "default", fmt.Sprintf(agentPod, name, mounts, volumes))
	}
	mounts, volumes := ofThisMachine(nil)
	s.apply(t, "default", fmt.Sprintf(agentPod, "thief", mounts, volumes))
	s.apply(t, "default", fmt.Sprintf(agentPod, "plain", mounts, volumes))
	for name, c := range clients {
		s.running(t, "default", name)
		if said := s.talk(t, name, c.command).ask(t, "whoami"); !strings.HasPrefix(said, "arn:aws:sts::111122223333:assumed-role/"+name+"/eks-laterna-") {
			t.Errorf("%s is %s", name, said)
		}
	}
	s.running(t, "default", "thief", "plain")
	in := func(pod, line string) string { return s.exec(t, "default", pod, "sh", "-c", line) }
	contains(t, in("thief", fmt.Sprintf(askAgent, agentToken)), "(AccessDeniedException): Unauthorized Exception! EKS does not have permissions to assume the associated role., fault: client")
	contains(t, in("plain", fmt.Sprintf(askAgent, "/var/run/secrets/kubernetes.io/serviceaccount/token")), "(InvalidTokenException): The token included in the request is invalid., fault: client")
	contains(t, in("plain", fmt.Sprintf(askAgent, "/dev/null")), "Service account token cannot be empty")
	if env := in("plain", "env"); strings.Contains(env, "AWS_") {
		t.Errorf("a pod of another service account has %s", env)
	}
	// Nothing else is there.
	for _, to := range []string{"169.254.170.23:2703", "169.254.170.2", "169.254.169.254"} {
		contains(t, s.fails(t, "kubectl exec plain -- curl -sS -m 20 http://"+to+"/"), "curl: (7)")
	}
	s.tokenOfADeletedPod(t, in)
}

// tokenOfADeletedPod has a token that leaked of no use any more.
func (s *system) tokenOfADeletedPod(t *testing.T, in func(pod, line string) string) {
	t.Helper()
	token := in("go", "cat "+agentToken)
	leaked := fmt.Sprintf("curl -sS -m 20 -H 'Authorization: %s' http://169.254.170.23/v1/credentials", token)
	contains(t, in("plain", leaked), `"AccessKeyId":"ASIA`)
	s.sh(t, "kubectl delete pod go")
	contains(t, in("plain", leaked), "(InvalidTokenException)")
	contains(t, s.sh(t, `laterna aws explain --data-dir "$LATERNA_DATA_DIR" | sed -n 2p`), "AssumeRoleForPodIdentity", "InvalidTokenException", "bearer")
}
