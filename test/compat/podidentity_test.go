package compat

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/api"
)

const (
	myRole     = "arn:aws:iam::111122223333:role/my-role"
	tokenDir   = "/var/run/secrets/eks.amazonaws.com/serviceaccount"
	roleKey    = "eks.amazonaws.com/role-arn"
	tokenVar   = "AWS_WEB_IDENTITY_TOKEN_FILE"
	annotateSA = "kubectl annotate serviceaccount my-service-account " + roleKey + "=" + myRole
)

// myApp is the Deployment of the document.
const myApp = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: my-app
spec:
  selector: {matchLabels: {app: my-app}}
  template:
    metadata: {labels: {app: my-app}}
    spec:
      serviceAccountName: my-service-account
      containers:
      - name: my-app
        image: public.ecr.aws/nginx/nginx:X.XX
`

// TestE1AndE2AndE3DeploymentWithAServiceAccount has the commands of the document.
func TestE1AndE2AndE3DeploymentWithAServiceAccount(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	in := func(line string) string { return s.sh(t, strings.ReplaceAll(line, "kubectl ", "kubectl -n "+ns+" ")) }
	in("kubectl create serviceaccount my-service-account")
	in(annotateSA)
	s.apply(t, ns, myApp)
	in("kubectl rollout status deployment/my-app --timeout=60s")
	hash := s.field(t, ns, "rs", `{.items[0].metadata.labels.pod-template-hash}`)
	line := in("kubectl get pods | grep my-app")
	found := regexp.MustCompile(`^(my-app-` + hash + `-[a-z0-9]{5}) +1/1 +Running +0 +\d+s\n$`).FindStringSubmatch(line)
	if found == nil {
		t.Fatalf("kubectl get pods prints %q", line)
	}
	pod := found[1]
	matches(t, in("kubectl describe pod "+pod+" | grep AWS_ROLE_ARN:"), ` +AWS_ROLE_ARN: +`+myRole)
	matches(t, in("kubectl describe pod "+pod+" | grep "+tokenVar+":"), ` +`+tokenVar+`: +`+tokenDir+`/token`)
	matches(t, in("kubectl describe pod "+pod), ` +aws-iam-token:`, ` +`+tokenDir+` from aws-iam-token \(ro\)`, ` +TokenExpirationSeconds: +86400`)
	if got := s.field(t, ns, "pod/"+pod, "{.spec.volumes[0].name} {.spec.volumes[0].projected.sources[0].serviceAccountToken}"); got != `aws-iam-token {"audience":"sts.amazonaws.com","expirationSeconds":86400,"path":"token"}` {
		t.Errorf("the first volume is %s", got)
	}
	s.checkRoleToken(t, ns, pod, "my-service-account")
	if got := s.exec(t, ns, pod, "sh", "-c", "echo $AWS_ROLE_ARN $AWS_WEB_IDENTITY_TOKEN_FILE"); got != myRole+" "+tokenDir+"/token\n" {
		t.Errorf("the container has %q", got)
	}
	if got, want := s.field(t, ns, "pod/"+pod, `{.metadata.annotations.laterna\.dev/pod-identity}`), "role "+myRole+"; token for sts.amazonaws.com, 86400 s; containers: my-app"; got != want {
		t.Errorf("the pod says %q, want %q", got, want)
	}
	matches(t, in(`kubectl describe deployment my-app | grep "Service Account"`), ` *Service Account: +my-service-account`)
}

// checkRoleToken looks at the token that a pod has for STS.
func (s *system) checkRoleToken(t *testing.T, ns, pod, account string) {
	t.Helper()
	c := decode(t, s.exec(t, ns, pod, "cat", tokenDir+"/token"))
	if len(c.Audience) != 1 || c.Audience[0] != "sts.amazonaws.com" || c.Expiry-c.IssuedAt != 86400 || c.Subject != "system:serviceaccount:"+ns+":"+account {
		t.Errorf("the token: %+v", c)
	}
}

// TestE5VariablesAndVolumeWrittenByHand has what is injected in the pod spec, and no
// annotation.
func TestE5VariablesAndVolumeWrittenByHand(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	s.apply(t, ns, `
apiVersion: v1
kind: Pod
metadata: {name: by-hand}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: busybox:1.28
    command: [sleep, "3600"]
    env:
    - {name: AWS_ROLE_ARN, value: "`+myRole+`"}
    - {name: AWS_WEB_IDENTITY_TOKEN_FILE, value: `+tokenDir+`/token}
    volumeMounts:
    - {name: aws-iam-token, mountPath: `+tokenDir+`, readOnly: true}
  volumes:
  - name: aws-iam-token
    projected:
      sources:
      - serviceAccountToken: {audience: sts.amazonaws.com, expirationSeconds: 86400, path: token}
`)
	s.running(t, ns, "by-hand")
	s.checkRoleToken(t, ns, "by-hand", "default")
	if got := s.field(t, ns, "pod/by-hand", `{.metadata.annotations}`); strings.Contains(got, api.PodIdentity) {
		t.Errorf("the pod says %s", got)
	}
}

// TestTheExampleOfPodIdentity runs docs/pod-identity.md.
func TestTheExampleOfPodIdentity(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	out := examplesOf(t, ns, "pod-identity.md")
	contains(t, out, "AWS_ROLE_ARN="+myRole+"\n"+tokenVar+"="+tokenDir+"/token\ntoken\n", "role "+myRole+"; token for sts.amazonaws.com, 86400 s; containers: my-app\n")
	for _, step := range example(t, "docs/pod-identity.md") {
		if got := shared.sh(t, strings.ReplaceAll(step.command, "kubectl ", "kubectl -n "+ns+" ")); got != step.output {
			t.Errorf("%s prints\n%s\nthe page\n%s", step.command, got, step.output)
		}
	}
}

// account makes an annotated service account.
func (d desk) account(t testing.TB, ns, name string, annotations map[string]string) {
	t.Helper()
	_, err := d.client.CoreV1().ServiceAccounts(ns).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: annotations}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// ofAccount creates a pod of a service account and returns it as it was admitted.
func (d desk) ofAccount(t testing.TB, ns, account string, change func(*corev1.Pod)) *corev1.Pod {
	t.Helper()
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: account + "-"},
		Spec:       corev1.PodSpec{ServiceAccountName: account, Containers: []corev1.Container{{Name: "main", Image: "busybox:1.28"}}},
	}
	if change != nil {
		change(p)
	}
	made, err := d.client.CoreV1().Pods(ns).Create(t.Context(), p, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// given is what a container was given, in a line.
func given(pod *corev1.Pod, c *corev1.Container) string {
	var parts []string
	for _, e := range c.Env {
		parts = append(parts, e.Name+"="+e.Value)
	}
	for _, m := range c.VolumeMounts {
		if !strings.HasPrefix(m.Name, "kube-api-access-") {
			parts = append(parts, fmt.Sprintf("%s:%s:%v", m.Name, m.MountPath, m.ReadOnly))
		}
	}
	for _, v := range pod.Spec.Volumes {
		if v.Projected != nil && len(v.Projected.Sources) == 1 {
			token := v.Projected.Sources[0].ServiceAccountToken
			parts = append(parts, fmt.Sprintf("%s/%s/%d/%s/%o", v.Name, token.Audience, *token.ExpirationSeconds, token.Path, *v.Projected.DefaultMode))
		}
	}
	return strings.Join(parts, " ")
}

// TestE4EveryAnnotationAndLabel tries, without a node, everything that can be said of pods
// with a role.
func TestE4EveryAnnotationAndLabel(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "identities.json")
	own := started(t, "--node=false", "--aws-default-region=eu-central-1", "--aws-account=111122223333",
		"--pod-identity-config-map=eks/pod-identity-webhook", "--container-credentials-file="+file)
	own.sh(t, "kubectl create namespace shop; kubectl create namespace eks")
	d := desk{&stage{system: own, ns: "shop", client: own.client(t)}}
	const (
		regions = "AWS_DEFAULT_REGION=eu-central-1 AWS_REGION=eu-central-1 "
		vars    = "AWS_ROLE_ARN=" + myRole + " AWS_WEB_IDENTITY_TOKEN_FILE=" + tokenDir + "/token "
		mount   = "aws-iam-token:" + tokenDir + ":true "
	)
	d.account(t, "shop", "role", map[string]string{roleKey: myRole})
	d.account(t, "shop", "named", map[string]string{roleKey: "my-role"})
	d.account(t, "shop", "all", map[string]string{roleKey: myRole, "eks.amazonaws.com/audience": "example.com",
		"eks.amazonaws.com/sts-regional-endpoints": "true", "eks.amazonaws.com/token-expiration": "3600"})
	d.account(t, "shop", "none", nil)
	expires := func(seconds string) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Annotations = map[string]string{"eks.amazonaws.com/token-expiration": seconds} }
	}
	for _, tc := range []struct {
		account string
		change  func(*corev1.Pod)
		want    string
	}{
		{"role", nil, regions + vars + mount + "aws-iam-token/sts.amazonaws.com/86400/token/644"},
		{"named", nil, regions + vars + mount + "aws-iam-token/sts.amazonaws.com/86400/token/644"},
		{"all", nil, "AWS_STS_REGIONAL_ENDPOINTS=regional " + regions + vars + mount + "aws-iam-token/example.com/3600/token/644"},
		{"all", expires("7200"), "AWS_STS_REGIONAL_ENDPOINTS=regional " + regions + vars + mount + "aws-iam-token/example.com/7200/token/644"},
		{"all", expires("1"), "AWS_STS_REGIONAL_ENDPOINTS=regional " + regions + vars + mount + "aws-iam-token/example.com/600/token/644"},
		{"none", nil, ""},
		{"role", func(p *corev1.Pod) {
			p.Labels = map[string]string{"eks.amazonaws.com/skip-pod-identity-webhook": "true"}
		}, ""},
		{"role", func(p *corev1.Pod) { p.Annotations = map[string]string{"eks.amazonaws.com/skip-containers": "main"} },
			"aws-iam-token/sts.amazonaws.com/86400/token/644"},
		{"role", func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"kubernetes.io/os": "windows"} },
			regions + `AWS_ROLE_ARN=` + myRole + ` AWS_WEB_IDENTITY_TOKEN_FILE=C:\var\run\secrets\eks.amazonaws.com\serviceaccount\token ` + mount + "aws-iam-token/sts.amazonaws.com/86400/token/644"},
	} {
		pod := d.ofAccount(t, "shop", tc.account, tc.change)
		if got := given(pod, &pod.Spec.Containers[0]); got != tc.want {
			t.Errorf("pod of %s, %v %v: %s\nwant %s", tc.account, pod.Labels, pod.Annotations, got, tc.want)
		}
	}
	d.checkEveryContainer(t)
	d.checkConfigMapAndFile(t, file)
	d.checkProblems(t)
	d.checkLocalSTS(t)
}

// checkEveryContainer has a pod with containers of every sort.
func (d desk) checkEveryContainer(t *testing.T) {
	t.Helper()
	always := corev1.ContainerRestartPolicyAlways
	pod := d.ofAccount(t, "shop", "role", func(p *corev1.Pod) {
		p.Spec.InitContainers = []corev1.Container{{Name: "first", Image: "busybox:1.28"}, {Name: "sidecar", Image: "busybox:1.28", RestartPolicy: &always}}
	})
	want := given(pod, &pod.Spec.Containers[0])
	for _, c := range pod.Spec.InitContainers {
		if got := given(pod, &c); got != want || !strings.Contains(got, "AWS_ROLE_ARN=") {
			t.Errorf("init container %s: %s", c.Name, got)
		}
	}
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"ephemeralContainers": []corev1.EphemeralContainer{
		{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: "busybox:1.28"}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	pod, err = d.client.CoreV1().Pods("shop").Patch(t.Context(), pod.Name, "application/strategic-merge-patch+json", patch, metav1.PatchOptions{}, "ephemeralcontainers")
	if err != nil {
		t.Fatal(err)
	}
	if got := given(pod, (*corev1.Container)(&pod.Spec.EphemeralContainers[0].EphemeralContainerCommon)); got != want {
		t.Errorf("ephemeral container: %s, want %s", got, want)
	}
}

// checkConfigMapAndFile gives roles without annotations, and container credentials.
func (d desk) checkConfigMapAndFile(t *testing.T, file string) {
	t.Helper()
	d.sh(t, `kubectl -n eks create configmap pod-identity-webhook --from-literal=config='{"*/none": {"RoleARN": "`+myRole+`", "Audience": "sts.amazonaws.com"}}'`)
	pod := d.ofAccount(t, "shop", "none", nil)
	if got := given(pod, &pod.Spec.Containers[0]); !strings.Contains(got, "AWS_ROLE_ARN="+myRole) {
		t.Errorf("by the ConfigMap: %s", got)
	}
	contains(t, d.system.fails(t, `kubectl -n eks patch configmap pod-identity-webhook -p '{"data":{"config":"{"}}'`), `data[config]: Invalid value: key config: unexpected end of JSON input`)
	if err := os.WriteFile(file, []byte(`{"identities": [{"namespace": "shop", "serviceAccount": "role"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	pod = d.ofAccount(t, "shop", "role", nil)
	want := "AWS_DEFAULT_REGION=eu-central-1 AWS_REGION=eu-central-1 AWS_CONTAINER_CREDENTIALS_FULL_URI=http://169.254.170.23/v1/credentials AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=" +
		"/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token eks-pod-identity-token:/var/run/secrets/pods.eks.amazonaws.com/serviceaccount:true eks-pod-identity-token/pods.eks.amazonaws.com/"
	if got := given(pod, &pod.Spec.Containers[0]); !strings.HasPrefix(got, want) || pod.Labels["eks.amazonaws.com/pod-identity"] != "enabled" {
		t.Errorf("with container credentials: %v %s\nwant %s", pod.Labels, got, want)
	}
	if seconds := *pod.Spec.Volumes[0].Projected.Sources[0].ServiceAccountToken.ExpirationSeconds; seconds < 79200 || seconds > 86400 {
		t.Errorf("the token lives %d s", seconds)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// checkProblems has kubectl told what is wrong, which the pod says, too.
func (d desk) checkProblems(t *testing.T) {
	t.Helper()
	out := d.sh(t, `kubectl -n shop run half --image=busybox:1.28 --env=AWS_ROLE_ARN=x --overrides='{"spec":{"serviceAccountName":"role"}}' 2>&1`)
	const problem = "container half: AWS_ROLE_ARN is set and AWS_WEB_IDENTITY_TOKEN_FILE is not, which was not added: set both or neither"
	contains(t, out, "Warning: pod identity: "+problem, "pod/half created")
	contains(t, d.field(t, "shop", "pod/half", `{.metadata.annotations.laterna\.dev/pod-identity}`), "; problem: "+problem)
}

// checkLocalSTS has a pod that is led to the system's STS, and one beside it that has what
// the original webhook gives and nothing else.
func (d desk) checkLocalSTS(t *testing.T) {
	t.Helper()
	led := d.ofAccount(t, "shop", "role", func(p *corev1.Pod) { p.Annotations = map[string]string{api.LocalSTS: "true"} })
	plain := d.ofAccount(t, "shop", "role", nil)
	var names []string
	for _, e := range plain.Spec.Containers[0].Env {
		names = append(names, e.Name)
	}
	if got := strings.Join(names, " "); got != "AWS_DEFAULT_REGION AWS_REGION AWS_ROLE_ARN AWS_WEB_IDENTITY_TOKEN_FILE" || len(plain.Spec.HostAliases) > 0 || len(plain.Spec.Volumes) != 2 || len(plain.Spec.Containers[0].VolumeMounts) != 2 {
		t.Errorf("who does not ask has %s, %+v", got, plain.Spec)
	}
	const file = "/var/run/secrets/laterna.dev/aws/ca.crt"
	for _, e := range []corev1.EnvVar{{Name: "AWS_CA_BUNDLE", Value: file}, {Name: "AWS_ENDPOINT_URL_STS", Value: "https://aws.kube-system.svc"}, {Name: "NODE_EXTRA_CA_CERTS", Value: file}} {
		if !slices.Contains(led.Spec.Containers[0].Env, e) {
			t.Errorf("who asks has %v, want %v", led.Spec.Containers[0].Env, e)
		}
	}
	want := []corev1.HostAlias{{IP: d.field(t, "kube-system", "service/aws", "{.spec.clusterIP}"),
		Hostnames: []string{"aws.kube-system.svc", "sts.amazonaws.com", "sts.us-east-1.amazonaws.com", "sts.eu-central-1.amazonaws.com"}}}
	if !reflect.DeepEqual(led.Spec.HostAliases, want) {
		t.Errorf("who asks has hosts %v, want %v", led.Spec.HostAliases, want)
	}
}

// TestE4PodsCreatedRightAfterTheAnnotationHaveTheRole races 500 pods with annotations: each
// is created after the response that tells of its annotation, and none comes without a role.
func TestE4PodsCreatedRightAfterTheAnnotationHaveTheRole(t *testing.T) {
	d := newDesk(t)
	const writers, rounds = 10, 50
	var wait sync.WaitGroup
	for w := range writers {
		name := fmt.Sprintf("account-%d", w)
		d.account(t, d.ns, name, nil)
		wait.Go(func() {
			for round := range rounds {
				role := fmt.Sprintf("arn:aws:iam::111122223333:role/%d-%d", w, round)
				patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, roleKey, role)
				if _, err := d.client.CoreV1().ServiceAccounts(d.ns).Patch(t.Context(), name, "application/merge-patch+json", patch, metav1.PatchOptions{}); err != nil {
					t.Error(err)
					return
				}
				pod, err := d.client.CoreV1().Pods(d.ns).Create(t.Context(), &corev1.Pod{
					ObjectMeta: metav1.ObjectMeta{GenerateName: name + "-"},
					Spec:       corev1.PodSpec{ServiceAccountName: name, Containers: []corev1.Container{{Name: "main", Image: "busybox:1.28"}}},
				}, metav1.CreateOptions{})
				if err != nil {
					t.Error(err)
					return
				}
				if !slices.Contains(pod.Spec.Containers[0].Env, corev1.EnvVar{Name: "AWS_ROLE_ARN", Value: role}) {
					t.Errorf("the pod has %v, its service account %s", pod.Spec.Containers[0].Env, role)
				}
			}
		})
	}
	wait.Wait()
}
