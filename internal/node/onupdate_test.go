package node

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/api"
	"laterna.dev/laterna/internal/volumes/onupdate"
)

// configured makes a pod with rules whose containers mount the ConfigMap of its name.
func (w *world) configured(name string, policy corev1.RestartPolicy, rules string, scripts ...string) *corev1.Pod {
	w.t.Helper()
	w.write(name, "1", true)
	pod := w.create(name, func(p *corev1.Pod) {
		p.Annotations = map[string]string{api.OnUpdate: rules}
		p.Spec.RestartPolicy = policy
		p.Spec.Volumes = []corev1.Volume{{Name: "config", VolumeSource: corev1.VolumeSource{
			ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}, DefaultMode: new(int32(0o644))},
		}}}
		for i := range p.Spec.Containers {
			p.Spec.Containers[i].VolumeMounts = []corev1.VolumeMount{{Name: "config", MountPath: "/config"}}
		}
	}, scripts...)
	w.waitFor(name, "runs", running)
	return pod
}

// write sets the value of a ConfigMap.
func (w *world) write(name, value string, create bool) {
	w.t.Helper()
	maps := w.client.CoreV1().ConfigMaps("default")
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", ResourceVersion: value}, Data: map[string]string{"value": value}}
	var err error
	if create {
		_, err = maps.Create(context.Background(), object, metav1.CreateOptions{})
	} else {
		_, err = maps.Update(context.Background(), object, metav1.UpdateOptions{})
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// printed idles until the log of a pod's first container has a line.
func (w *world) printed(name, line string) {
	w.t.Helper()
	w.eventually(name+" prints "+line, func() error {
		if _, body := w.get("admin", "/containerLogs/default/"+name+"/c0"); !strings.Contains(body, line) {
			return fmt.Errorf("log %q", body)
		}
		return nil
	})
}

func (w *world) outcome(pod *corev1.Pod, result onupdate.Result, message string) {
	w.t.Helper()
	w.eventually("outcome "+string(result), func() error {
		all := w.agent.updates.Outcomes(pod.UID)
		if len(all) != 1 || all[0].Result != result || !strings.Contains(all[0].Message, message) {
			return fmt.Errorf("outcomes %+v", all)
		}
		return nil
	})
}

const idles = "while :; do sleep 0.05; done"

func TestUpdatesAreSignalled(t *testing.T) {
	w := newWorld(t)
	const rules = "[{volumes: [config], container: c0, signal: HUP}]"
	pod := w.configured("hup", corev1.RestartPolicyAlways, rules, `trap 'echo took $(cat /config/value)' HUP; `+idles)
	deaf := w.configured("deaf", corev1.RestartPolicyAlways, rules, idles)
	w.write("hup", "2", false)
	w.printed("hup", "took 2")
	w.outcome(pod, onupdate.Succeeded, "")
	w.write("deaf", "2", false)
	w.outcome(deaf, onupdate.Failed, "SIGHUP was not sent: the container's main process does not handle this signal")
	if n := first(w.pod("deaf")).RestartCount; n != 0 {
		t.Errorf("%d restarts of a process that does not handle the signal", n)
	}
}

func TestUpdatesRunCommands(t *testing.T) {
	w := newWorld(t)
	good := w.configured("good", corev1.RestartPolicyAlways, `[{volumes: [config], container: c0, exec: [sh, -c, "read v < /config/value; echo got $v > /proc/1/fd/1"]}]`, idles)
	slow := w.configured("slow", corev1.RestartPolicyAlways, `[{volumes: [config], container: c0, exec: [sleep, "600"], timeout: 1s}]`, idles)
	bad := w.configured("bad", corev1.RestartPolicyAlways, `[{volumes: [config], container: c0, exec: [sh, -c, "echo no such thing >&2; exit 7"]}]`, idles)
	none := w.configured("none", corev1.RestartPolicyAlways, `[{volumes: [config], container: c0, exec: [missing]}]`, idles)
	loud := w.configured("loud", corev1.RestartPolicyAlways, `[{volumes: [config], container: c0, exec: [busybox, head, -c, "2000000", /dev/zero]}]`, idles)
	for _, name := range []string{"good", "slow", "bad", "none", "loud"} {
		w.write(name, "2", false)
	}
	w.printed("good", "got 2")
	w.outcome(good, onupdate.Succeeded, "")
	w.outcome(bad, onupdate.Failed, "exec sh ended with exit code 7: no such thing")
	w.outcome(loud, onupdate.Failed, "exec busybox printed more than 1 MiB")
	w.outcome(none, onupdate.Failed, `exec missing could not be run: `)
	w.outcome(slow, onupdate.Failed, "exec sleep did not end within 1s")
	w.eventually("the failure is told", func() error {
		if e := w.events(bad)[onupdate.ReasonFailed]; len(e) != 1 || e[0] != `volume "config" was updated, but exec sh ended with exit code 7: no such thing` {
			return fmt.Errorf("events %q", w.events(bad))
		}
		return nil
	})
}

func TestUpdatesRestart(t *testing.T) {
	const rules = "[{volumes: [config], container: c0, restart: true}]"
	const script = `trap 'exit 0' TERM; echo started with $(cat /config/value); ` + idles
	w := newWorld(t)
	for name, policy := range map[string]corev1.RestartPolicy{"always": corev1.RestartPolicyAlways, "on-failure": corev1.RestartPolicyOnFailure} {
		pod := w.configured(name, policy, rules, script, idles)
		w.printed(name, "started with 1")
		for i := int32(1); i <= 3; i++ {
			w.write(name, fmt.Sprint(i+1), false)
			w.waitFor(name, "was restarted", func(p *corev1.Pod) bool { return running(p) && first(p).RestartCount == i })
			w.printed(name, fmt.Sprint("started with ", i+1))
		}
		w.outcome(pod, onupdate.Succeeded, "")
		if other := w.pod(name).Status.ContainerStatuses[1]; other.RestartCount != 0 {
			t.Errorf("%d restarts of the other container", other.RestartCount)
		}
		events := w.events(pod)
		if len(events["Killing"]) == 0 || events["Killing"][0] != `Container c0 will be restarted: volume "config" was updated` || len(events["BackOff"]) > 0 {
			t.Errorf("events %q", events)
		}
	}
}

func TestAnAgentThatComesBackMakesUpForUpdates(t *testing.T) {
	w := newWorld(t)
	const script = `trap 'echo took $(cat /config/value)' HUP; trap 'exit 0' TERM; echo started with $(cat /config/value); ` + idles
	pod := w.configured("back", corev1.RestartPolicyOnFailure,
		"[{volumes: [config], container: c0, signal: HUP}, {volumes: [config], container: c1, restart: true}]", script, script)
	w.stop()
	w.write("back", "2", false)
	w.start()
	w.printed("back", "took 2")
	w.waitFor("back", "was restarted", func(p *corev1.Pod) bool {
		return running(p) && p.Status.ContainerStatuses[1].RestartCount == 1
	})
	w.eventually("both are done", func() error {
		all := w.agent.updates.Outcomes(pod.UID)
		if len(all) != 2 || all[0].Result != onupdate.Succeeded || all[1].Result != onupdate.Succeeded {
			return fmt.Errorf("outcomes %+v", all)
		}
		return nil
	})
	w.stop()
	w.start()
	time.Sleep(300 * time.Millisecond)
	if _, log := w.get("admin", "/containerLogs/default/back/c0"); strings.Count(log, "took") != 1 {
		t.Errorf("log %q", log)
	}
	if s := w.pod("back").Status.ContainerStatuses; s[0].RestartCount != 0 || s[1].RestartCount != 1 {
		t.Errorf("restarts %d, %d", s[0].RestartCount, s[1].RestartCount)
	}
}
