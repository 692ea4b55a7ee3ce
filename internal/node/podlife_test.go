package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestPodLife(t *testing.T) {
	w := newWorld(t, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "kubernetes", Namespace: "default"},
		Spec:       corev1.ServiceSpec{ClusterIP: "10.96.0.1", Ports: []corev1.ServicePort{{Name: "https", Port: 443}}},
	})
	created := time.Now()
	pod := w.create("web", func(p *corev1.Pod) {
		p.Annotations = map[string]string{"a": "b"}
		p.Spec.Containers[0].Env = []corev1.EnvVar{
			{Name: "IP", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.podIP"}}},
			{Name: "SOURCE", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.annotations['kubernetes.io/config.source']"}}},
			{Name: "CPUS", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.cpu"}}},
		}
	}, `trap "exit 0" TERM; sleep 1000 & wait`, `trap "exit 3" TERM; sleep 1000 & wait`)
	got := w.waitFor("web", "runs", running)
	t.Logf("create to Running: %s", time.Since(created))

	s := got.Status
	if s.PodIP == "" || !strings.HasPrefix(s.PodIP, "10.201.77.") || s.HostIP != "192.0.2.1" || s.StartTime == nil || s.QOSClass != corev1.PodQOSBestEffort {
		t.Errorf("status %+v", s)
	}
	for _, c := range s.Conditions {
		if c.Status != corev1.ConditionTrue {
			t.Errorf("condition %+v", c)
		}
	}
	if id := s.ContainerStatuses[0].ContainerID; !strings.HasPrefix(id, "containerd://") {
		t.Errorf("container ID %q", id)
	}
	out, _, _ := w.exec("web", "c0", "", false, "sh", "-c", `echo $IP $SOURCE $CPUS $KUBERNETES_SERVICE_HOST; busybox hostname; busybox tail -n 1 /etc/hosts`)
	want := fmt.Sprintf("%s api %d 10.96.0.1\nweb\n%s\tweb\n", s.PodIP, w.agent.registrar.Facts().CPUs, s.PodIP)
	if out != want {
		t.Errorf("in the container: %q, want %q", out, want)
	}
	w.eventually("events", func() error {
		e := w.events(pod)
		if !slices.Equal(e["Created"], []string{"Container created", "Container created"}) || !slices.Equal(e["Started"], []string{"Container started", "Container started"}) ||
			len(e["Pulled"]) != 2 || e["Pulled"][0] != `Container image "busybox:test" already present on machine and can be accessed by the pod` {
			return fmt.Errorf("events %q", e)
		}
		return nil
	})
	begun := time.Now()
	w.delete("web")
	if took := time.Since(begun); took > 1900*time.Millisecond {
		t.Errorf("containers that end at once were given their whole grace period: %s", took)
	}
	w.eventually("stopping is recorded", func() error {
		e := w.events(pod)["Killing"]
		slices.Sort(e)
		if !slices.Equal(e, []string{"Stopping container c0", "Stopping container c1"}) {
			return fmt.Errorf("events %q", e)
		}
		return nil
	})
}

func TestNodeIsRegistered(t *testing.T) {
	w := newWorld(t)
	node, err := w.client.CoreV1().Nodes().Get(context.Background(), "n1", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(node.Status.NodeInfo.ContainerRuntimeVersion, "containerd://") || node.Status.NodeInfo.KubeletVersion != "v1.37.2+test" {
		t.Errorf("node info %+v", node.Status.NodeInfo)
	}
	if fmt.Sprint(node.Status.DaemonEndpoints.KubeletEndpoint.Port) != w.addr[strings.LastIndex(w.addr, ":")+1:] {
		t.Errorf("published port %d, serving at %s", node.Status.DaemonEndpoints.KubeletEndpoint.Port, w.addr)
	}
	if node.Status.Capacity.Cpu().IsZero() || node.Status.Allocatable.Memory().Cmp(*node.Status.Capacity.Memory()) >= 0 || node.Labels["kubernetes.io/hostname"] != "n1" {
		t.Errorf("node %+v", node)
	}
	images := 0
	for _, i := range node.Status.Images {
		if slices.Contains(i.Names, "docker.io/library/busybox:test") {
			images++
		}
	}
	if images != 1 {
		t.Errorf("images %+v", node.Status.Images)
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady && (c.Status != corev1.ConditionTrue || c.Reason != "KubeletReady" || c.Message != "kubelet is posting ready status") {
			t.Errorf("condition %+v", c)
		}
	}
	w.eventually("the lease is held", func() error {
		lease, err := w.client.CoordinationV1().Leases("kube-node-lease").Get(context.Background(), "n1", metav1.GetOptions{})
		if err == nil && (lease.Spec.RenewTime == nil || *lease.Spec.HolderIdentity != "n1" || *lease.Spec.LeaseDurationSeconds != 40) {
			return fmt.Errorf("lease %+v", lease.Spec)
		}
		return err
	})
}
