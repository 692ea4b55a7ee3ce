package statefulset

import (
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

var began = time.Now()

func set(replicas int32, change ...func(*appsv1.StatefulSet)) *appsv1.StatefulSet {
	labels := map[string]string{"app": "web"}
	s := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web", UID: "u", Generation: 7},
		Spec: appsv1.StatefulSetSpec{
			Replicas: &replicas, ServiceName: "svc", PodManagementPolicy: appsv1.OrderedReadyPodManagement,
			Selector:       &metav1.LabelSelector{MatchLabels: labels},
			Template:       corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}},
			UpdateStrategy: appsv1.StatefulSetUpdateStrategy{Type: appsv1.RollingUpdateStatefulSetStrategyType, RollingUpdate: &appsv1.RollingUpdateStatefulSetStrategy{Partition: new(int32(0))}},
		},
	}
	for _, f := range change {
		f(s)
	}
	return s
}

func parallel(s *appsv1.StatefulSet) { s.Spec.PodManagementPolicy = appsv1.ParallelPodManagement }

func partition(n int32) func(*appsv1.StatefulSet) {
	return func(s *appsv1.StatefulSet) { s.Spec.UpdateStrategy.RollingUpdate.Partition = &n }
}

func unavailable(n intstr.IntOrString) func(*appsv1.StatefulSet) {
	return func(s *appsv1.StatefulSet) { s.Spec.UpdateStrategy.RollingUpdate.MaxUnavailable = &n }
}

// pods reads pods from "0a 1b! 2a-": their number, their revision, and how they are: ready
// for a minute, waiting (!), just ready (+), ending (-), failed (x).
func pods(s *appsv1.StatefulSet, text string) (all []*corev1.Pod) {
	for _, item := range strings.Fields(text) {
		how := strings.TrimLeft(item, "0123456789")
		var n int64
		if _, err := fmt.Sscan(strings.TrimSuffix(item, how), &n); err != nil {
			panic(err)
		}
		pod := newPod(s, &s.Spec.Template, n, how[:1])
		pod.UID = types.UID(pod.Name)
		pod.Status.Phase = corev1.PodRunning
		since := began.Add(-time.Minute)
		switch how[1:] {
		case "!":
			pod.Status.Phase = corev1.PodPending
		case "x":
			pod.Status.Phase = corev1.PodFailed
		case "+":
			since = began
		case "-":
			pod.DeletionTimestamp = &metav1.Time{Time: began}
		}
		if pod.Status.Phase == corev1.PodRunning {
			pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(since)}}
		}
		all = append(all, pod)
	}
	return all
}

func viewOf(s *appsv1.StatefulSet, text string) view {
	return view{set: s, pods: pods(s, text), current: "a", update: "b", now: began, claim: func(string) *corev1.PersistentVolumeClaim { return nil }}
}

// told is a plan in words.
func told(p plan) string {
	words := map[action]string{create: "make", remove: "delete", repair: "repair", settle: "settle"}
	var all []string
	for _, steps := range p.phases {
		for _, s := range steps {
			all = append(all, fmt.Sprint(words[s.do], " ", s.ordinal, s.revision))
		}
	}
	return strings.Join(all, ", ")
}

func TestWhatIsDoneNext(t *testing.T) {
	onDelete := func(s *appsv1.StatefulSet) {
		s.Spec.UpdateStrategy = appsv1.StatefulSetUpdateStrategy{Type: appsv1.OnDeleteStatefulSetStrategyType}
	}
	unsaid := func(s *appsv1.StatefulSet) { s.Spec.UpdateStrategy.RollingUpdate, s.Status.CurrentReplicas = nil, 2 }
	from5 := func(s *appsv1.StatefulSet) { s.Spec.Ordinals = &appsv1.StatefulSetOrdinals{Start: 5} }
	for name, tc := range map[string]struct {
		set        *appsv1.StatefulSet
		pods, want string
	}{
		"the first":                      {set(3), "", "make 0b"},
		"the second":                     {set(3), "0b", "make 1b"},
		"the first is not ready":         {set(3), "0b!", ""},
		"the first is ending":            {set(3), "0b-", ""},
		"a hole":                         {set(3), "0b 2b", "make 1b"},
		"all there":                      {set(3), "0b 1b 2b", ""},
		"one failed":                     {set(3), "0b 1bx 2b", "delete 1"},
		"numbers from five":              {set(2, from5), "5b", "make 6b"},
		"numbers moved":                  {set(2, from5), "0b 1b", "make 5b"},
		"numbers moved, all there":       {set(2, from5), "0b 5b 6b", "delete 0"},
		"fewer":                          {set(1), "0b 1b 2b", "delete 2"},
		"fewer, the last is ending":      {set(1), "0b 1b 2b-", ""},
		"fewer, one before is not ready": {set(1), "0b 1b! 2b", "delete 2"},
		"fewer, two are not ready":       {set(1), "0b 1b! 2b!", ""},
		"fewer, the last is not ready":   {set(1), "0b 1b 2b!", "delete 2"},
		"fewer, and one to be ready":     {set(2), "0b 1b! 2b", ""},
		"none":                           {set(0), "0b", "delete 0"},
		"update from the last":           {set(3), "0a 1a 2a", "delete 2"},
		"update waits for the last":      {set(3), "0a 1a 2b!", ""},
		"update goes on":                 {set(3), "0a 1a 2b", "delete 1"},
		"update of one that is sick":     {set(3), "0a 1a! 2b", ""},
		"scaling comes before updates":   {set(3), "0a 1a", "make 2b"},
		"partition":                      {set(3, partition(2)), "0a 1a 2b", ""},
		"partition keeps the old":        {set(3, partition(2)), "0a", "make 1a"},
		"beyond the partition":           {set(3, partition(2)), "0a 1a", "make 2b"},
		"partition from five":            {set(2, from5, partition(1)), "5a 6a", "delete 6"},
		"on delete":                      {set(3, onDelete), "0a 1a 2a", ""},
		"on delete, made anew":           {set(3, onDelete), "0a 1a", "make 2b"},
		"no numbers said":                {set(3, unsaid), "0a", "make 1a"},
		"no numbers said, updated":       {set(3, unsaid), "0a 1a", "make 2b"},
		"two at a time":                  {set(4, unavailable(intstr.FromInt32(2))), "0a 1a 2a 3a", "delete 3, delete 2"},
		"two at a time, one is out":      {set(4, parallel, unavailable(intstr.FromInt32(2))), "0a 1a 2a 3b!", "delete 2"},
		"two at a time, both are out":    {set(4, parallel, unavailable(intstr.FromInt32(2))), "0a 1a 2b! 3b!", ""},
		"a third":                        {set(4, unavailable(intstr.FromString("33%"))), "0a 1a 2a 3a", "delete 3"},
		"at once":                        {set(3, parallel), "", "make 0b, make 1b, make 2b"},
		"at once, not ready":             {set(3, parallel), "0b!", "make 1b, make 2b"},
		"at once, fewer":                 {set(1, parallel), "0b! 1b 2b! 3b-", "delete 2, delete 1"},
		"at once, failed":                {set(3, parallel), "0bx 1b", "delete 0, make 2b"},
		"at once, updates one by one":    {set(3, parallel), "0a 1a 2a", "delete 2"},
		"at once, an update waits":       {set(3, parallel), "0a 1a 2b!", ""},
		"going":                          {set(3, func(s *appsv1.StatefulSet) { s.DeletionTimestamp = &metav1.Time{} }), "0b", ""},
	} {
		if got := told(viewOf(tc.set, tc.pods).decide()); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

func TestManyAreMadeInPortions(t *testing.T) {
	for _, change := range []func(*appsv1.StatefulSet){parallel, func(*appsv1.StatefulSet) {}} {
		began := time.Now()
		p := viewOf(set(1<<31-1, change, func(s *appsv1.StatefulSet) { s.Spec.Ordinals = &appsv1.StatefulSetOrdinals{Start: 1<<31 - 1} }), "2147483647b").decide()
		if n := len(p.phases[0]); n > most || time.Since(began) > time.Second {
			t.Errorf("%d steps after %s", n, time.Since(began))
		}
	}
}

func TestReadyForLongEnough(t *testing.T) {
	s := set(2, func(s *appsv1.StatefulSet) { s.Spec.MinReadySeconds = 10 })
	p := viewOf(s, "0b+").decide()
	if told(p) != "" || p.again != 10*time.Second {
		t.Errorf("%s, again in %s", told(p), p.again)
	}
	if got := told(viewOf(s, "0b").decide()); got != "make 1b" {
		t.Error(got)
	}
}

func TestWhoAPodIs(t *testing.T) {
	s := set(3, func(s *appsv1.StatefulSet) { s.Spec.Template.Spec.Hostname = "other" })
	pod := newPod(s, &s.Spec.Template, 11, "rev")
	if pod.Name != "web-11" || pod.Spec.Hostname != "web-11" || pod.Spec.Subdomain != "svc" || pod.GenerateName != "" {
		t.Errorf("pod %+v", pod)
	}
	if got := fmt.Sprint(pod.Labels); got != "map[app:web apps.kubernetes.io/pod-index:11 controller-revision-hash:rev statefulset.kubernetes.io/pod-name:web-11]" || len(s.Spec.Template.Labels) != 1 {
		t.Error(got)
	}
	for name, want := range map[string]int64{"web-0": 0, "web-11": 11, "web": -1, "web-": -1, "web-01": -1, "web--1": -1, "web-x": -1, "other-1": -1, "web-1-1": -1, "web-99999999999": -1} {
		if n, ok := ordinalOf(s, name); ok != (want >= 0) || ok && n != want {
			t.Errorf("%s: %d, %v", name, n, ok)
		}
	}
	v := viewOf(s, "0b 1b 2b")
	delete(v.pods[1].Labels, appsv1.PodIndexLabel)
	if got := told(v.decide()); got != "repair 1" {
		t.Errorf("a pod without its number: %q", got)
	}
	if fixed := itself(s, v.pods[1], 1); !isItself(s, fixed, 1) || v.pods[1].Labels[appsv1.PodIndexLabel] != "" {
		t.Errorf("repaired %v", fixed.Labels)
	}
}

func TestStatusCounts(t *testing.T) {
	ten := func(s *appsv1.StatefulSet) { s.Spec.MinReadySeconds = 10 }
	for name, tc := range map[string]struct {
		set     *appsv1.StatefulSet
		pods    string
		removed []int
		want    string // replicas, ready, available, current, updated; the current revision
	}{
		"none":           {set(3), "", nil, "0 0 0 0 0 a"},
		"an update":      {set(3), "0a 1a 2b", nil, "3 3 3 2 1 a"},
		"updated":        {set(3), "0b 1b 2b", nil, "3 3 3 3 3 b"},
		"not ready":      {set(3), "0b 1b 2b!", nil, "3 2 2 0 3 a"},
		"just ready":     {set(3, ten), "0b 1b 2b+", nil, "3 3 2 3 3 b"},
		"ending":         {set(3), "0a 1a 2a-", nil, "3 3 3 2 0 a"},
		"removed now":    {set(3), "0a 1a 2a", []int{2}, "3 3 3 2 0 a"},
		"more to be had": {set(4), "0b 1b 2b", nil, "3 3 3 0 3 a"},
	} {
		v := viewOf(tc.set, tc.pods)
		var removed []*corev1.Pod
		for _, i := range tc.removed {
			removed = append(removed, v.pods[i])
		}
		s := v.status(removed, 2)
		if got := fmt.Sprint(s.Replicas, s.ReadyReplicas, s.AvailableReplicas, s.CurrentReplicas, s.UpdatedReplicas, " ", s.CurrentRevision); got != tc.want || s.ObservedGeneration != 7 || *s.CollisionCount != 2 || s.UpdateRevision != "b" {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestWhomClaimsGoWith(t *testing.T) {
	policy := func(deleted, scaled appsv1.PersistentVolumeClaimRetentionPolicyType) *appsv1.StatefulSet {
		return set(1, func(s *appsv1.StatefulSet) {
			s.Spec.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{WhenDeleted: deleted, WhenScaled: scaled}
		})
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-0", UID: "p"}}
	const keep, drop = appsv1.RetainPersistentVolumeClaimRetentionPolicyType, appsv1.DeletePersistentVolumeClaimRetentionPolicyType
	for name, tc := range map[string]struct {
		set    *appsv1.StatefulSet
		scaled bool
		had    string
		want   string
	}{
		"kept":                    {policy(keep, keep), false, "", "="},
		"kept, no more gone":      {policy(keep, keep), false, "u p", ""},
		"with the set":            {policy(drop, keep), false, "", "u"},
		"with the set, is so":     {policy(drop, keep), false, "u", "="},
		"with the set, scaled":    {policy(drop, keep), true, "u", "="},
		"with the pod, not yet":   {policy(keep, drop), false, "", "="},
		"with the pod":            {policy(keep, drop), true, "", "p"},
		"with either":             {policy(drop, drop), false, "", "u"},
		"with either, scaled":     {policy(drop, drop), true, "u", "p"},
		"others stay":             {policy(drop, keep), false, "other", "other u"},
		"another's":               {policy(drop, drop), true, "controller", "="},
		"of an earlier set":       {policy(drop, keep), false, "earlier", "u"},
		"of an earlier set, keep": {policy(keep, keep), false, "earlier", ""},
	} {
		claim := &corev1.PersistentVolumeClaim{}
		for _, uid := range strings.Fields(tc.had) {
			r := metav1.OwnerReference{UID: types.UID(uid), Name: uid, Kind: "X", Controller: new(uid == "controller")}
			if uid == "earlier" {
				r.APIVersion, r.Kind, r.Name, r.Controller = "apps/v1", "StatefulSet", "web", new(true)
			}
			claim.OwnerReferences = append(claim.OwnerReferences, r)
		}
		owners, differ := owners(tc.set, pod, tc.scaled, claim)
		var uids []string
		for _, o := range owners {
			uids = append(uids, string(o.UID))
		}
		got := "="
		if differ {
			got = strings.Join(uids, " ")
		}
		if got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

func TestClaimsOfAPod(t *testing.T) {
	s := set(2, func(s *appsv1.StatefulSet) {
		s.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data", Labels: map[string]string{"a": "b"}}}}
		s.Spec.Template.Spec.Volumes = []corev1.Volume{{Name: "tmp"}, {Name: "data"}}
	})
	pod := newPod(s, &s.Spec.Template, 1, "b")
	if v := pod.Spec.Volumes; len(v) != 2 || v[0].PersistentVolumeClaim.ClaimName != "data-web-1" || v[1].Name != "tmp" || !isItself(s, pod, 1) {
		t.Errorf("volumes %+v", v)
	}
	claim := newClaim(s, &s.Spec.VolumeClaimTemplates[0], 1)
	if claim.Name != "data-web-1" || claim.Namespace != "ns" || fmt.Sprint(claim.Labels) != "map[a:b app:web]" || len(s.Spec.VolumeClaimTemplates[0].Labels) != 1 {
		t.Errorf("claim %+v", claim)
	}
	there := map[string]*corev1.PersistentVolumeClaim{}
	v := viewOf(s, "0b 1b!")
	v.claim = func(name string) *corev1.PersistentVolumeClaim { return there[name] }
	if got := told(v.decide()); got != "settle 1" {
		t.Errorf("a pod that waits for its claim: %q", got)
	}
	there["data-web-1"] = claim
	if got := told(v.decide()); got != "" {
		t.Errorf("a pod that has its claim: %q", got)
	}
	if !goesWithAnother("web-1", &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: "web-1"}}}}) || goesWithAnother("web-1", claim) {
		t.Error("whom a claim goes with is mistaken")
	}
}
