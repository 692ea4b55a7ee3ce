package compat

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// awsPod has a service account with a role and the programs of the machine, and says of STS
// nothing but that it wants the system's own: clients that know a variable for it and those
// that do not (Debian's botocore) find it. IAM is not led. Its verbs are the name, whether it
// has the network of the node, mounts and volumes.
const awsPod = `
apiVersion: v1
kind: Pod
metadata: {name: %[1]s, annotations: {laterna.dev/local-sts: "true"}}
spec:
  serviceAccountName: app
  hostNetwork: %[2]v
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: busybox:1.28
    command: [sleep, "9999999"]
    env:
    - {name: HOME, value: /tmp}
    - {name: AWS_ENDPOINT_URL_IAM, value: "https://aws.kube-system.svc"}
    volumeMounts: [%[3]s]
  volumes: [%[4]s]
`

// awsClient is a program of test/tools/aws and the directory that it is in, or needs.
type awsClient struct {
	command []string
	dir     string
}

// awsClients are those programs, by the name of their pod.
func awsClients(t *testing.T) map[string]awsClient {
	t.Helper()
	tools, err := filepath.Abs("../tools")
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "role")
	build := exec.Command("go", "build", "-C", tools, "-ldflags=-s -w", "-o", binary, "./aws/role")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return map[string]awsClient{
		"go":         {[]string{binary}, filepath.Dir(binary)},
		"javascript": {[]string{"/usr/bin/node", tools + "/aws/role.mjs"}, tools},
		"python":     {[]string{"/usr/bin/python3", tools + "/aws/role.py", "https://aws.kube-system.svc"}, tools},
	}
}

// TestE6AndE8AndE10ClientsInPods has the SDKs of three languages assume the role of their
// pod's service account by their default chains, and go on when token and session end.
func TestE6AndE8AndE10ClientsInPods(t *testing.T) {
	t.Parallel()
	s := started(t, "--test-clock", "--aws-default-region=eu-central-1")
	policy := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(policy, []byte(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iam:GetRole", "Resource": "*"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s.sh(t, "kubectl create serviceaccount app && kubectl annotate serviceaccount app eks.amazonaws.com/token-expiration=7200")
	s.awsAccount(t, "111122223333", "--service-account default/app --role app --annotate --policy-file "+policy)
	// SDKs judge the end of a session by their own clocks, which do not move.
	s.sh(t, `kubectl replace --raw /aws/faults -f - <<<'{"sessionLife": "10s"}'`)
	clients := awsClients(t)
	for name, c := range clients {
		mounts, volumes := ofThisMachine([]string{c.dir})
		s.apply(t, "default", fmt.Sprintf(awsPod, name, false, mounts, volumes))
	}
	mounts, volumes := ofThisMachine(nil)
	s.apply(t, "default", fmt.Sprintf(awsPod, "host", true, mounts, volumes))
	talks := map[string]*talk{}
	for name, c := range clients {
		s.running(t, "default", name)
		talks[name] = s.talk(t, name, c.command)
	}
	const session = "arn:aws:sts::111122223333:assumed-role/app/"
	keys, tokens := map[string]string{}, map[string]string{}
	for name, c := range talks {
		arn, key, _ := strings.Cut(c.ask(t, "whoami"), " ")
		if !strings.HasPrefix(arn, session) || !strings.HasPrefix(key, "ASIA") {
			t.Errorf("%s is %s with key %s", name, arn, key)
		}
		keys[name], tokens[name] = key, s.exec(t, "default", name, "cat", tokenDir+"/token")
		if said := c.ask(t, "role app"); said != "arn:aws:iam::111122223333:role/app" {
			t.Errorf("%s is told of the role %q", name, said)
		}
		contains(t, c.ask(t, "roles"), "error AccessDenied: User: "+session, " is not authorized to perform: iam:ListRoles on resource: ")
	}
	s.running(t, "default", "host")
	for _, pod := range []string{"python", "host"} {
		contains(t, s.exec(t, "default", pod, awsCLI, "--output", "json", "sts", "get-caller-identity"), `"Arn": "`+session)
	}

	// Four fifths of two hours, and then what the first token had left.
	s.sh(t, `laterna clock advance 100m --data-dir "$LATERNA_DATA_DIR"`)
	for name := range talks {
		eventually(t, 20*time.Second, func() error {
			if s.exec(t, "default", name, "cat", tokenDir+"/token") == tokens[name] {
				return errors.New("the token is still the first")
			}
			return nil
		})
	}
	s.sh(t, `laterna clock advance 30m --data-dir "$LATERNA_DATA_DIR"`)
	for name, c := range talks {
		eventually(t, 40*time.Second, func() error {
			said := c.ask(t, "whoami")
			if arn, key, _ := strings.Cut(said, " "); !strings.HasPrefix(arn, session) || key == keys[name] {
				return fmt.Errorf("%s with an old token and session is told %q", name, said)
			}
			return nil
		})
	}
}

// talk is with a program that answers a line with a line.
type talk struct {
	in  io.Writer
	out *bufio.Scanner
}

// talk starts a program in a pod. It runs until the test ends.
func (s *system) talk(t *testing.T, pod string, command []string) *talk {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	like := s.command(t, "kubectl")
	cmd := exec.CommandContext(ctx, like.Path, append([]string{"exec", "-i", pod, "--"}, command...)...)
	cmd.Env, cmd.Stderr = like.Env, t.Output()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		cmd.Wait()
	})
	return &talk{in, bufio.NewScanner(out)}
}

func (c *talk) ask(t *testing.T, line string) string {
	t.Helper()
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		t.Fatal(err)
	}
	if !c.out.Scan() {
		t.Fatalf("asked %q it ends: %v", line, c.out.Err())
	}
	return c.out.Text()
}
