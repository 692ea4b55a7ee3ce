package apiserver_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/controller/daemonset"
	"laterna.dev/laterna/internal/controller/env"
	"laterna.dev/laterna/internal/controller/statefulset"
)

// as returns a client that acts as a controller, with the rights of its role alone.
func (s *system) as(controller string) kubernetes.Interface {
	s.t.Helper()
	c, err := kubernetes.NewForConfig(s.config(env.ServiceAccount(controller)))
	must(s.t, err)
	return c
}

// runSets runs the controllers of StatefulSets and DaemonSets until stop is called.
func (s *system) runSets() (stop func()) { return s.runSetsBy(clock.APIOf(clock.Real())) }

// runSetsBy is runSets with a clock for pauses after failures.
func (s *system) runSetsBy(api clock.API) (stop func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	shared := informers.NewSharedInformerFactory(s.as("shared-informers"), 0)
	given := func(name string) env.Env {
		return env.Env{
			Name: name, Client: s.as(name), Informers: shared, Wall: clock.Real(),
			Log: slog.New(slog.NewTextHandler(s.t.Output(), nil)).With("controller", name),
		}
	}
	stateful := statefulset.New(given(statefulset.Name))
	daemons := daemonset.New(daemonset.Config{Env: given(daemonset.Name), Clock: api})
	shared.Start(ctx.Done())
	var all sync.WaitGroup
	for _, run := range []func(context.Context) error{stateful.Run, daemons.Run} {
		all.Go(func() {
			if err := run(ctx); err != nil {
				s.t.Error(err)
			}
		})
	}
	stop = sync.OnceFunc(func() { cancel(); all.Wait(); shared.Shutdown() })
	s.t.Cleanup(stop)
	return stop
}

// player runs pods as an agent and a scheduler would, as far as the API sees it.
type player struct {
	s *system
	// sick are pods that do not get ready, by name or by image.
	mu     sync.Mutex
	sick   map[string]bool
	made   []string // names of pods in the order in which they came
	gone   []string
	images map[string]string // by pod
}

// play runs the pods of namespace default until the test ends.
func (s *system) play() *player {
	p := &player{s: s, sick: map[string]bool{}, images: map[string]string{}}
	ctx, cancel := context.WithCancel(s.t.Context())
	w, err := s.admin().CoreV1().Pods("default").Watch(ctx, metav1.ListOptions{})
	must(s.t, err)
	var done sync.WaitGroup
	done.Go(func() {
		for e := range w.ResultChan() {
			pod, ok := e.Object.(*corev1.Pod)
			if !ok {
				continue
			}
			p.mu.Lock()
			switch e.Type {
			case "ADDED":
				p.made = append(p.made, pod.Name)
				p.images[pod.Name] = pod.Spec.Containers[0].Image
			case "DELETED":
				p.gone = append(p.gone, pod.Name)
			}
			p.mu.Unlock()
			if e.Type != "DELETED" {
				p.step(ctx, pod)
			}
		}
	})
	s.t.Cleanup(func() { cancel(); w.Stop(); done.Wait() })
	return p
}

func (p *player) step(ctx context.Context, pod *corev1.Pod) {
	client := p.s.admin().CoreV1().Pods(pod.Namespace)
	p.mu.Lock()
	sick := p.sick[pod.Name] || p.sick[pod.Spec.Containers[0].Image]
	p.mu.Unlock()
	var err error
	switch {
	case pod.DeletionTimestamp != nil:
		err = client.Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)})
	case pod.Spec.NodeName == "" && pinned(pod) != "":
		err = client.Bind(ctx, &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, UID: pod.UID}, Target: corev1.ObjectReference{Kind: "Node", Name: pinned(pod)}}, metav1.CreateOptions{})
	case pod.Status.Phase == corev1.PodPending && !sick:
		err = p.ready(ctx, pod.Name, corev1.ConditionTrue)
	}
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) && ctx.Err() == nil {
		p.s.t.Error(err)
	}
}

// pinned is the only node that a pod's affinity allows.
func pinned(pod *corev1.Pod) string {
	if a := pod.Spec.Affinity; a != nil && a.NodeAffinity != nil {
		return a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0].MatchFields[0].Values[0]
	}
	return ""
}

// ready says of a pod that it runs, and whether it is ready.
func (p *player) ready(ctx context.Context, name string, status corev1.ConditionStatus) error {
	patch := fmt.Sprintf(`{"status":{"phase":"Running","conditions":[{"type":"Ready","status":%q,"lastTransitionTime":%q}]}}`, status, time.Now().UTC().Format(time.RFC3339))
	_, err := p.s.admin().CoreV1().Pods("default").Patch(ctx, name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
	return err
}

// heal lets pods of a name or an image get ready, those that are there, too.
func (p *player) heal(name string) {
	p.s.t.Helper()
	p.mu.Lock()
	delete(p.sick, name)
	p.mu.Unlock()
	list, err := p.s.admin().CoreV1().Pods("default").List(p.s.t.Context(), metav1.ListOptions{})
	must(p.s.t, err)
	for _, pod := range list.Items {
		if pod.Name == name || pod.Spec.Containers[0].Image == name {
			if err := p.ready(p.s.t.Context(), pod.Name, corev1.ConditionTrue); err != nil && !apierrors.IsNotFound(err) {
				p.s.t.Error(err)
			}
		}
	}
}

// history is which pods came and went, in order.
func (p *player) history() (made, gone string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.made, " "), strings.Join(p.gone, " ")
}

// patiently calls f until it returns nil, at most half a minute: a rollout takes many steps,
// on machines that have other things to do.
func patiently(t *testing.T, f func() error) {
	t.Helper()
	err := f()
	for end := time.Now().Add(30 * time.Second); err != nil && time.Now().Before(end); err = f() {
		time.Sleep(5 * time.Millisecond)
	}
	must(t, err)
}

func statefulSet(name string, replicas int32, change ...func(*appsv1.StatefulSet)) *appsv1.StatefulSet {
	labels := map[string]string{"app": name}
	set := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.StatefulSetSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels}, ServiceName: name,
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i:1"}}}},
		},
	}
	for _, f := range change {
		f(set)
	}
	return set
}

// setImage gives a set's template an image.
func (s *system) setImage(set, image string) {
	s.t.Helper()
	patch := fmt.Sprintf(`{"spec":{"template":{"spec":{"containers":[{"name":"c","image":%q}]}}}}`, image)
	_, err := s.admin().AppsV1().StatefulSets("default").Patch(s.t.Context(), set, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	must(s.t, err)
}

// stands waits for a set whose status is as it should be.
func (s *system) stands(name string, replicas int32) *appsv1.StatefulSet {
	s.t.Helper()
	var set *appsv1.StatefulSet
	patiently(s.t, func() (err error) {
		if set, err = s.admin().AppsV1().StatefulSets("default").Get(s.t.Context(), name, metav1.GetOptions{}); err != nil {
			return err
		}
		st := set.Status
		if st.ObservedGeneration != set.Generation || st.Replicas != replicas || st.ReadyReplicas != replicas || st.UpdatedReplicas != replicas || st.CurrentRevision != st.UpdateRevision {
			return fmt.Errorf("status %+v", st)
		}
		return nil
	})
	return set
}

// accounts makes the default account, which pods need.
func (s *system) account() {
	s.t.Helper()
	_, err := s.admin().CoreV1().ServiceAccounts("default").Create(s.t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{})
	must(s.t, err)
}

// revisions lists the numbers and images of a set's history.
func (s *system) revisions(set string) string {
	s.t.Helper()
	list, err := s.admin().AppsV1().ControllerRevisions("default").List(s.t.Context(), metav1.ListOptions{LabelSelector: "app=" + set})
	must(s.t, err)
	var all []string
	for _, r := range list.Items {
		_, image, _ := strings.Cut(string(r.Data.Raw), `"image":"`)
		image, _, _ = strings.Cut(image, `"`)
		all = append(all, fmt.Sprint(r.Revision, "=", image))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// TestStatefulSetsHaveTheirPodsInOrder takes a set through its life.
func TestStatefulSetsHaveTheirPodsInOrder(t *testing.T) {
	s := boot(t, t.TempDir())
	s.account()
	p := s.play()
	s.runSets()
	sets := s.admin().AppsV1().StatefulSets("default")
	_, err := sets.Create(t.Context(), statefulSet("web", 3), metav1.CreateOptions{})
	must(t, err)
	s.stands("web", 3)
	if made, gone := p.history(); made != "web-0 web-1 web-2" || gone != "" {
		t.Errorf("made %s, gone %s", made, gone)
	}
	s.setImage("web", "i:2")
	s.stands("web", 3)
	if made, gone := p.history(); made != "web-0 web-1 web-2 web-2 web-1 web-0" || gone != "web-2 web-1 web-0" {
		t.Errorf("made %s, gone %s", made, gone)
	}
	// An image that never gets ready stops at the last pod, and its removal by hand goes
	// back.
	p.mu.Lock()
	p.sick["bad"] = true
	p.mu.Unlock()
	s.setImage("web", "bad")
	patiently(t, func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.images["web-2"] != "bad" {
			return errors.New("no pod has the new image")
		}
		return nil
	})
	s.setImage("web", "i:1")
	must(t, s.admin().CoreV1().Pods("default").Delete(t.Context(), "web-2", metav1.DeleteOptions{}))
	s.stands("web", 3)
	if got := s.revisions("web"); got != "2=i:2 3=bad 4=i:1" {
		t.Errorf("history %s", got)
	}
	out, _, err := s.kubectl("", "rollout", "undo", "statefulset/web", "--to-revision=2")
	if err != nil || !strings.Contains(out, "rolled back") {
		t.Errorf("%s, %v", out, err)
	}
	s.stands("web", 3)
	if got := s.revisions("web"); got != "3=bad 4=i:1 5=i:2" {
		t.Errorf("history %s", got)
	}
	if out, _, err := s.kubectl("", "scale", "statefulset/web", "--replicas=1"); err != nil || !strings.Contains(out, "scaled") {
		t.Errorf("%s, %v", out, err)
	}
	s.stands("web", 1)
	if _, gone := p.history(); !strings.HasSuffix(gone, " web-2 web-1") {
		t.Errorf("gone %s", gone)
	}
	s.toldOf("StatefulSet", "web", "SuccessfulCreate: create Pod web-0 in StatefulSet web successful", "SuccessfulDelete: delete Pod web-2 in StatefulSet web successful")
}

// toldOf waits for events of an object.
func (s *system) toldOf(kind, name string, want ...string) {
	s.t.Helper()
	patiently(s.t, func() error {
		list, err := s.admin().CoreV1().Events("default").List(s.t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.kind=" + kind + ",involvedObject.name=" + name})
		if err != nil {
			return err
		}
		var all []string
		for _, e := range list.Items {
			all = append(all, e.Reason+": "+e.Message)
		}
		for _, w := range want {
			if !slices.ContainsFunc(all, func(has string) bool { return strings.HasPrefix(has, w) }) {
				return fmt.Errorf("no event %q among %q", w, all)
			}
		}
		return nil
	})
}

// TestStatefulSetsClaim checks that claims are made before their pods, stay or go as the
// policy says, and that a pod whose claim is being deleted waits for it.
func TestStatefulSetsClaim(t *testing.T) {
	s := boot(t, t.TempDir())
	s.account()
	s.play()
	s.runSets()
	_, err := s.admin().AppsV1().StatefulSets("default").Create(t.Context(), statefulSet("db", 2, func(set *appsv1.StatefulSet) {
		set.Spec.PodManagementPolicy = appsv1.ParallelPodManagement
		set.Spec.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{WhenDeleted: "Delete", WhenScaled: "Delete"}
		set.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}, Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		}}}
	}), metav1.CreateOptions{})
	must(t, err)
	s.stands("db", 2)
	claims := s.admin().CoreV1().PersistentVolumeClaims("default")
	ownedBy := func(claim, kind string) func() error {
		return func() error {
			c, err := claims.Get(t.Context(), claim, metav1.GetOptions{})
			if err != nil {
				return err
			}
			if len(c.OwnerReferences) != 1 || c.OwnerReferences[0].Kind != kind || c.Labels["app"] != "db" {
				return fmt.Errorf("claim %+v", c.ObjectMeta)
			}
			return nil
		}
	}
	patiently(t, ownedBy("data-db-0", "StatefulSet"))
	patiently(t, ownedBy("data-db-1", "StatefulSet"))
	pod, err := s.admin().CoreV1().Pods("default").Get(t.Context(), "db-1", metav1.GetOptions{})
	must(t, err)
	if pod.Spec.Volumes[0].PersistentVolumeClaim.ClaimName != "data-db-1" {
		t.Errorf("volumes %+v", pod.Spec.Volumes)
	}
	scale := func(n int32) {
		_, err := s.admin().AppsV1().StatefulSets("default").UpdateScale(t.Context(), "db", scaleTo("db", n), metav1.UpdateOptions{})
		must(t, err)
	}
	scale(1)
	patiently(t, ownedBy("data-db-1", "Pod"))
	s.stands("db", 1)
	// The collector has yet to take the claim: the pod waits for that.
	scale(2)
	time.Sleep(300 * time.Millisecond)
	if _, err := s.admin().CoreV1().Pods("default").Get(t.Context(), "db-1", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("a pod with a claim that goes: %v", err)
	}
	must(t, claims.Delete(t.Context(), "data-db-1", metav1.DeleteOptions{}))
	s.stands("db", 2)
	patiently(t, ownedBy("data-db-1", "StatefulSet"))
	s.toldOf("StatefulSet", "db", "SuccessfulCreate: create Claim data-db-0 Pod db-0 in StatefulSet db success")
}

// TestRestartsDuringARolloutDoNothingTwice stops and starts the controllers again and
// again while sets are made, updated and scaled.
func TestRestartsDuringARolloutDoNothingTwice(t *testing.T) {
	s := boot(t, t.TempDir())
	s.account()
	for i := range 3 {
		s.node(fmt.Sprint("n", i))
	}
	p := s.play()
	_, err := s.admin().AppsV1().StatefulSets("default").Create(t.Context(), statefulSet("web", 4), metav1.CreateOptions{})
	must(t, err)
	_, err = s.admin().AppsV1().DaemonSets("default").Create(t.Context(), daemonSet("log"), metav1.CreateOptions{})
	must(t, err)
	ended := make(chan struct{})
	var restarts sync.WaitGroup
	finish := sync.OnceFunc(func() { close(ended); restarts.Wait() })
	t.Cleanup(finish)
	restarts.Go(func() {
		for pause := time.Duration(20); ; pause = (pause*7 + 13) % 150 {
			stop := s.runSets()
			select {
			case <-ended:
				return
			case <-time.After(pause * time.Millisecond):
				stop()
			}
		}
	})
	s.stands("web", 4)
	s.daemonsStand("log", 3)
	s.setImage("web", "i:2")
	s.setDaemonImage("log", "i:2")
	s.stands("web", 4)
	s.daemonsStand("log", 3)
	finish()
	made, gone := p.history()
	web := func(all string) string {
		return strings.Join(slices.DeleteFunc(strings.Fields(all), func(n string) bool { return strings.HasPrefix(n, "log") }), " ")
	}
	if web(made) != "web-0 web-1 web-2 web-3 web-3 web-2 web-1 web-0" || web(gone) != "web-3 web-2 web-1 web-0" {
		t.Errorf("made %s, gone %s", web(made), web(gone))
	}
	if n := strings.Count(made, "log-"); n != 6 {
		t.Errorf("%d pods of daemons in %s", n, made)
	}
	if got := s.revisions("web") + ", " + s.revisions("log"); got != "1=i:1 2=i:2, 1=i:1 2=i:2" {
		t.Errorf("history %s", got)
	}
}

// TestStatefulPodsThatAreTakenOver checks that a set takes pods that fit it, leaves those
// that others have, and lets go of those that do not fit any more.
func TestStatefulPodsThatAreTakenOver(t *testing.T) {
	s := boot(t, t.TempDir())
	s.account()
	p := s.play()
	pod := func(name string) {
		_, err := s.admin().CoreV1().Pods("default").Create(t.Context(), &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": "web"}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i:1"}}},
		}, metav1.CreateOptions{})
		must(t, err)
	}
	pod("web-0")
	pod("web-01")
	s.runSets()
	_, err := s.admin().AppsV1().StatefulSets("default").Create(t.Context(), statefulSet("web", 2, func(set *appsv1.StatefulSet) {
		set.Spec.UpdateStrategy.Type = appsv1.OnDeleteStatefulSetStrategyType
	}), metav1.CreateOptions{})
	must(t, err)
	owner := func(name string) string {
		pod, err := s.admin().CoreV1().Pods("default").Get(t.Context(), name, metav1.GetOptions{})
		if err != nil || metav1.GetControllerOf(pod) == nil {
			return ""
		}
		return metav1.GetControllerOf(pod).Name
	}
	patiently(t, func() error {
		if owner("web-0") != "web" || owner("web-1") != "web" {
			return errors.New("not all pods are the set's")
		}
		// Who plays the node watches, and may be behind what was just read.
		if made, _ := p.history(); !slices.Contains(strings.Fields(made), "web-1") {
			return errors.New("the pod that is made was not seen yet")
		}
		return nil
	})
	if made, gone := p.history(); made != "web-0 web-01 web-1" || gone != "" || owner("web-01") != "" {
		t.Errorf("made %s, gone %s, web-01 is %q's", made, gone, owner("web-01"))
	}
	must(t, retry.RetryOnConflict(retry.DefaultRetry, func() error {
		pod, err := s.admin().CoreV1().Pods("default").Get(t.Context(), "web-1", metav1.GetOptions{})
		must(t, err)
		pod.Labels["app"] = "other"
		_, err = s.admin().CoreV1().Pods("default").Update(t.Context(), pod, metav1.UpdateOptions{})
		return err
	}))
	patiently(t, func() error {
		if owner("web-1") != "" {
			return errors.New("the pod is still the set's")
		}
		return nil
	})
}
