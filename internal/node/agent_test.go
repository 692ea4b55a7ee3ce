package node

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/host/cgroups"
	"laterna.dev/laterna/internal/host/machine"
	"laterna.dev/laterna/internal/log"
	"laterna.dev/laterna/internal/node/eviction"
	"laterna.dev/laterna/internal/node/resize"
	"laterna.dev/laterna/internal/node/runspec"
	"laterna.dev/laterna/internal/runtime/cri"
	"laterna.dev/laterna/internal/runtime/runtimetest"
)

// world is a machine with a real containerd, an API in memory and an agent between.
type world struct {
	*runtimetest.Machine
	t      testing.TB
	client *fake.Clientset
	agent  *Agent
	addr   string
	noDNS  string
	cri    string // the socket that the agent is told; "" is the machine's
	stop   func()
	clock  *clock.Clock
	offset time.Duration
}

// jump moves the agent's clock on.
func (w *world) jump(d time.Duration) {
	w.offset += d
	w.clock.SetOffset(w.offset)
}

func archive(t testing.TB, name string) string { return runtimetest.Archive(t, name) }

// ptpConf gives pods a network of their own that leaves nothing on the machine once
// they are stopped.
func ptpConf(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	conf := fmt.Sprintf(`{"cniVersion":"0.4.0","name":"test","plugins":[
		{"type":"ptp","ipam":{"type":"host-local","dataDir":%q,"ranges":[[{"subnet":"10.201.77.0/24"}]]}},
		{"type":"portmap","capabilities":{"portMappings":true}}]}`, t.TempDir())
	if err := os.WriteFile(filepath.Join(dir, "10-test.conflist"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func newWorld(t testing.TB, objects ...apiruntime.Object) *world {
	t.Helper()
	log.BridgeLibrariesOnce(os.Stderr)
	dir := runtimetest.Dir(t)
	w := &world{Machine: runtimetest.StartOn(t, dir, ptpConf(t)), t: t, client: fake.NewClientset(objects...), clock: clock.New(clock.Real())}
	w.client.PrependReactor("create", "subjectaccessreviews", func(a k8stesting.Action) (bool, apiruntime.Object, error) {
		review := a.(k8stesting.CreateAction).GetObject().(*authorizationv1.SubjectAccessReview)
		review.Status.Allowed = review.Spec.User == "admin"
		return true, review, nil
	})
	w.client.PrependReactor("create", "tokenreviews", func(a k8stesting.Action) (bool, apiruntime.Object, error) {
		review := a.(k8stesting.CreateAction).GetObject().(*authenticationv1.TokenReview)
		review.Status.Authenticated = review.Spec.Token == "admin" || review.Spec.Token == "other"
		review.Status.User.Username = review.Spec.Token
		return true, review, nil
	})
	w.start()
	t.Cleanup(func() {
		for _, p := range w.pods() {
			w.delete(p.Name)
		}
		w.stop()
	})
	return w
}

// Endpoint implements RuntimeProvider.
func (w *world) Endpoint(context.Context) (Endpoint, error) {
	return Endpoint{CRI: cmp.Or(w.cri, w.Info.Socket), Containerd: w.Info.Socket, Images: w.Images}, nil
}

// start starts an agent, the first or the next.
func (w *world) start() {
	w.t.Helper()
	hierarchy, err := cgroups.Detect()
	if err != nil {
		w.t.Fatal(err)
	}
	thresholds, err := eviction.Parse(eviction.DefaultThresholds)
	if err != nil {
		w.t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	w.addr = l.Addr().String()
	w.agent, err = New(Config{
		NodeName: "n1", NodeIPs: []string{"192.0.2.1"}, Version: "v1.37.2+test", Instance: w.Dir.Hash, Root: w.Dir.Path,
		ClusterDomain: "cluster.local", NoClusterDNS: w.noDNS, Client: w.client, Runtime: w,
		Groups:   resize.HostGroups{Hierarchy: hierarchy, Name: w.Dir.HostName()},
		Eviction: eviction.Settings{Thresholds: thresholds},
		Machine:  eviction.Machine{Memory: machine.MemoryLeft, PIDs: machine.PIDsLeft, Usage: resize.HostGroups{Hierarchy: hierarchy, Name: w.Dir.HostName()}.Usage},
		PodAPI:   PodAPI{Listener: l, TLS: &tls.Config{Certificates: []tls.Certificate{selfSigned(w.t)}}},
		Clock:    w.clock,
		Wall:     clock.Real(),
		Log:      slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.agent.Run(ctx) }()
	w.stop = func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("agent: %v", err)
		}
	}
	w.eventually("the agent is ready", func() error { return w.agent.Ready() })
}

func (w *world) eventually(what string, check func() error) {
	w.t.Helper()
	var err error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if err = check(); err == nil {
			return
		}
	}
	w.t.Fatalf("%s: %v", what, err)
}

func (w *world) pods() []corev1.Pod {
	list, err := w.client.CoreV1().Pods("default").List(context.Background(), metav1.ListOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return list.Items
}

func (w *world) pod(name string) *corev1.Pod {
	w.t.Helper()
	pod, err := w.client.CoreV1().Pods("default").Get(context.Background(), name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return pod
}

// create makes a pod that runs shell scripts, one a container.
func (w *world) create(name string, change func(*corev1.Pod), scripts ...string) *corev1.Pod {
	w.t.Helper()
	grace := int64(2)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", UID: types.UID("00000000-0000-4000-8000-" + fmt.Sprintf("%012x", time.Now().UnixNano()&0xffffffffffff))},
		Spec: corev1.PodSpec{
			NodeName: "n1", RestartPolicy: corev1.RestartPolicyAlways, TerminationGracePeriodSeconds: &grace,
			DNSPolicy: corev1.DNSDefault,
		},
		Status: corev1.PodStatus{Phase: corev1.PodPending},
	}
	for i, s := range scripts {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{
			Name: fmt.Sprintf("c%d", i), Image: "busybox:test", Command: []string{"sh", "-c", s},
			ImagePullPolicy: corev1.PullIfNotPresent, TerminationMessagePath: "/dev/termination-log",
			TerminationMessagePolicy: corev1.TerminationMessageReadFile,
		})
	}
	if change != nil {
		change(pod)
	}
	if _, err := w.client.CoreV1().Pods("default").Create(context.Background(), pod, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
	return pod
}

// waitFor waits until the pod's status is as check wants it.
func (w *world) waitFor(name, what string, check func(*corev1.Pod) bool) *corev1.Pod {
	w.t.Helper()
	var pod *corev1.Pod
	w.eventually(name+" "+what, func() error {
		if pod = w.pod(name); !check(pod) {
			return fmt.Errorf("status is %+v", pod.Status)
		}
		return nil
	})
	return pod
}

func running(p *corev1.Pod) bool {
	ready := p.Status.Phase == corev1.PodRunning
	for _, c := range p.Status.ContainerStatuses {
		ready = ready && c.Ready
	}
	return ready
}

// delete deletes a pod as the API server does: first marked, then removed by the
// agent.
func (w *world) delete(name string) {
	w.t.Helper()
	pod := w.pod(name)
	seconds := int64(1)
	if s := pod.Spec.TerminationGracePeriodSeconds; s != nil {
		seconds = *s
	}
	at := metav1.NewTime(time.Now().Add(time.Duration(seconds) * time.Second))
	pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = &at, &seconds
	if err := w.client.Tracker().Update(corev1.SchemeGroupVersion.WithResource("pods"), pod, "default"); err != nil {
		w.t.Fatal(err)
	}
	w.eventually(name+" deleted", func() error {
		for _, p := range w.pods() {
			if p.UID == pod.UID {
				return fmt.Errorf("still there: %+v", p.Status)
			}
		}
		return nil
	})
	w.eventually(name+" gone from the runtime", func() error { return w.empty(pod.UID) })
}

// empty is nil when a pod has nothing left on the machine.
func (w *world) empty(uid types.UID) error {
	filter := cri.Filter{Labels: map[string]string{runspec.LabelPodUID: string(uid)}}
	containers, err := w.CRI.ListContainers(context.Background(), filter)
	if err != nil {
		return err
	}
	sandboxes, err := w.CRI.ListSandboxes(context.Background(), filter)
	if err != nil {
		return err
	}
	if len(containers)+len(sandboxes) > 0 {
		return fmt.Errorf("%d containers and %d sandboxes are left", len(containers), len(sandboxes))
	}
	if _, err := os.Stat(filepath.Join(w.Dir.Path, "pods", string(uid))); !os.IsNotExist(err) {
		return fmt.Errorf("the pod's directory is left (%v)", err)
	}
	logs, err := filepath.Glob(filepath.Join(w.Dir.Path, "logs", "pods", "*"+string(uid)))
	if err != nil || len(logs) > 0 {
		return fmt.Errorf("logs are left: %v, %v", logs, err)
	}
	return nil
}

// events are the messages of a pod's Events by reason.
func (w *world) events(pod *corev1.Pod) map[string][]string {
	list, err := w.client.CoreV1().Events("default").List(context.Background(), metav1.ListOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string][]string{}
	for _, e := range list.Items {
		if e.InvolvedObject.UID == pod.UID {
			out[e.Reason] = append(out[e.Reason], e.Message)
		}
	}
	return out
}
