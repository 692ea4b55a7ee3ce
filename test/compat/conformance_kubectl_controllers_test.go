package compat

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// primary is a controller of a pod, as kubectl makes it.
const primary = `
apiVersion: v1
kind: ReplicationController
metadata: {name: %[1]s, labels: {app: agnhost, role: primary}}
spec:
  replicas: 1
  selector: {app: %[1]s, role: primary}
  template:
    metadata: {labels: {app: %[1]s, role: primary}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - {name: main, image: "busybox:1.28", command: [sleep, "3600"], ports: [{name: server, containerPort: 6379}]}
---
apiVersion: v1
kind: Service
metadata: {name: %[1]s, labels: {app: agnhost, role: primary}}
spec:
  ports: [{port: 6379, targetPort: server}]
  selector: {app: %[1]s, role: primary}
`

func TestConformanceKubectlControllers(t *testing.T) {
	s := newStage(t)
	s.conforms(t, "[sig-cli] Kubectl client Kubectl describe should check if kubectl describe prints relevant information for rc and pods", func(t *testing.T) {
		name := s.name("agnhost-primary")
		s.apply(t, s.ns, fmt.Sprintf(primary, name))
		pod := s.readyPods(t, name, 1)[0]
		matches(t, s.kubectl(t, "describe pod "+pod.Name), `Name: +`+pod.Name, `Namespace: +`+s.ns, `Node: +`+pod.Spec.NodeName+`/.*`, `Labels: +app=`+name, ` +role=primary`, `Annotations: .*`,
			`Status: +Running`, `IP: +\S+`, `Controlled By: +ReplicationController/`+name, ` +Image: +busybox:1.28`, ` +State: +Running`, `QoS Class: +BestEffort`)
		eventually(t, stepTimeout, func() error {
			if out := s.kubectl(t, "describe rc "+name); !strings.Contains(out, "1 Running") || !strings.Contains(out, "1 current") {
				return fmt.Errorf("%s", out)
			}
			return nil
		})
		matches(t, s.kubectl(t, "describe rc "+name), `Name: +`+name, `Namespace: +`+s.ns, `Selector: +app=`+name+`,role=primary`, `Labels: +app=agnhost`, ` +role=primary`, `Annotations: .*`,
			`Replicas: +1 current / 1 desired`, `Pods Status: +1 Running / 0 Waiting / 0 Succeeded / 0 Failed`, `Pod Template:`, ` +Image: +busybox:1.28`, `Events:`,
			` +Normal +SuccessfulCreate +\S+ +replication-controller +Created pod: `+pod.Name)
		matches(t, s.kubectl(t, "describe service "+name), `Name: +`+name, `Namespace: +`+s.ns, `Labels: +app=agnhost`, `Selector: +app=`+name+`,role=primary`, `Type: +ClusterIP`, `IP: +\S+`,
			`Port: +<unset> +6379/TCP`, `Endpoints: .*`, `Session Affinity: +None`)
		matches(t, s.sh(t, "kubectl describe node "+pod.Spec.NodeName), `Name: +`+pod.Spec.NodeName, `Labels: .*`, `Annotations: .*`, `CreationTimestamp: .*`, `Conditions:`, `Addresses:`, `Capacity:`, ` +Kubelet Version: .*`, ` +Kube-Proxy Version: .*|System Info:`)
		matches(t, s.sh(t, "kubectl describe namespace "+s.ns), `Name: +`+s.ns, `Labels: .*`, `Annotations: .*`, `Status: +Active`)
	})
	s.conforms(t, "[sig-cli] Kubectl client Kubectl diff should check if kubectl diff finds a difference for Deployments", func(t *testing.T) {
		const manifest = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: %[1]s}, spec: {selector: {matchLabels: {app: %[1]s}}, template: {metadata: {labels: {app: %[1]s}}, spec: {containers: [{name: main, image: %[2]q, command: [sleep, '3600']}]}}}}"
		name := s.name("httpd-deployment")
		s.apply(t, s.ns, fmt.Sprintf(manifest, name, "busybox:1.28"))
		diff := s.command(t, "kubectl", "diff", "-n", s.ns, "-f", "-")
		diff.Stdin = strings.NewReader(fmt.Sprintf(manifest, name, "busybox:latest"))
		out, err := diff.CombinedOutput()
		if code := diff.ProcessState.ExitCode(); code != 1 {
			t.Errorf("kubectl diff ends with %d: %v", code, err)
		}
		matches(t, string(out), `- +(- )?image: busybox:1.28`, `\+ +(- )?image: busybox:latest`)
		s.kubectl(t, "delete deployment "+name)
	})
	s.conforms(t, "[sig-cli] Kubectl client Kubectl patch should add annotations for pods in rc", func(t *testing.T) {
		name := s.name("annotated")
		s.apply(t, s.ns, fmt.Sprintf(primary, name))
		for _, pod := range s.readyPods(t, name, 1) {
			s.kubectl(t, "patch pod "+pod.Name+` -p '{"metadata":{"annotations":{"x":"y"}}}'`)
		}
		for _, pod := range s.podsOf(t, name) {
			if pod.Annotations["x"] != "y" {
				t.Errorf("pod %s has the annotations %v", pod.Name, pod.Annotations)
			}
		}
	})
	s.conforms(t, "[sig-cli] Kubectl client Kubectl expose should create services for rc", func(t *testing.T) {
		name := s.name("agnhost-primary")
		s.apply(t, s.ns, fmt.Sprintf(primary, name))
		pod := s.readyPods(t, name, 1)[0]
		exposed := func(service string, port int32) {
			t.Helper()
			made, err := s.client.CoreV1().Services(s.ns).Get(t.Context(), service, metav1.GetOptions{})
			s.must(t, err)
			if len(made.Spec.Ports) != 1 || made.Spec.Ports[0].Port != port || made.Spec.Ports[0].TargetPort.IntValue() != 6379 {
				t.Errorf("ports of %s: %+v", service, made.Spec.Ports)
			}
			eventually(t, stepTimeout, func() error {
				found, err := s.client.CoreV1().Endpoints(s.ns).Get(t.Context(), service, metav1.GetOptions{})
				if err != nil {
					return err
				}
				if len(found.Subsets) != 1 || len(found.Subsets[0].Addresses) != 1 || len(found.Subsets[0].Ports) != 1 ||
					found.Subsets[0].Addresses[0].TargetRef.UID != pod.UID || found.Subsets[0].Ports[0].Port != 6379 {
					return fmt.Errorf("endpoints %+v", found.Subsets)
				}
				return nil
			})
		}
		s.kubectl(t, "expose rc "+name+" --name=rm2 --port=1234 --target-port=6379")
		exposed("rm2", 1234)
		s.kubectl(t, "expose service rm2 --name=rm3 --port=2345 --target-port=6379")
		exposed("rm3", 2345)
	})
	s.conforms(t, "[sig-cli] Kubectl client Update Demo should create and stop a replication controller", func(t *testing.T) {
		app := s.name("update-demo")
		s.replicationController(t, app, 2, naming(app))
		s.demo(t, app, 2)
		s.kubectl(t, "delete rc --grace-period=0 --force "+app+" 2>/dev/null")
		if left := s.kubectl(t, "get rc -l app="+app+" --no-headers 2>/dev/null"); left != "" {
			t.Errorf("left: %s", left)
		}
		eventually(t, stepTimeout, func() error {
			if left := s.podsOf(t, app); len(left) > 0 {
				return fmt.Errorf("%d pods go on", len(left))
			}
			return nil
		})
	})
	s.conforms(t, "[sig-cli] Kubectl client Update Demo should scale a replication controller", func(t *testing.T) {
		app := s.name("update-demo")
		s.replicationController(t, app, 2, naming(app))
		s.demo(t, app, 2)
		for _, n := range []int{1, 2} {
			matches(t, s.kubectl(t, fmt.Sprintf("scale rc %s --replicas=%d --timeout=5m", app, n)), `replicationcontroller/`+app+` scaled`)
			s.demo(t, app, n)
		}
	})
}

// demo checks by kubectl's templates that an app has that many pods, and that they run and
// answer.
func (s *stage) demo(t testing.TB, app string, n int) {
	t.Helper()
	var names []string
	eventually(t, stepTimeout, func() error {
		if names = strings.Fields(s.kubectl(t, "get pods -l app="+app+" -o template --template='{{range .items}}{{.metadata.name}} {{end}}'")); len(names) != n {
			return fmt.Errorf("pods %q, want %d", names, n)
		}
		return nil
	})
	for _, name := range names {
		eventually(t, stepTimeout, func() error {
			running := s.kubectl(t, "get pods "+name+` -o template --template='{{if (exists . "status" "containerStatuses")}}{{range .status.containerStatuses}}{{if (and (eq .name "main") (exists . "state" "running"))}}true{{end}}{{end}}{{end}}'`)
			image := s.kubectl(t, "get pods "+name+` -o template --template='{{if (exists . "spec" "containers")}}{{range .spec.containers}}{{if eq .name "main"}}{{.image}}{{end}}{{end}}{{end}}'`)
			if running != "true" || image != "busybox:1.28" {
				return fmt.Errorf("pod %s runs %q with %q", name, running, image)
			}
			return nil
		})
	}
	var pods []corev1.Pod
	for _, name := range names {
		pod, err := s.client.CoreV1().Pods(s.ns).Get(t.Context(), name, metav1.GetOptions{})
		s.must(t, err)
		pods = append(pods, *pod)
	}
	s.nameThemselves(t, pods)
}
