package deployment

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/utils/dump"
	"k8s.io/utils/ptr"
)

// Annotations of sets by which they remember, and of deployments.
const (
	revisionAnnotation = "deployment.kubernetes.io/revision"
	historyAnnotation  = "deployment.kubernetes.io/revision-history"
	desiredAnnotation  = "deployment.kubernetes.io/desired-replicas"
	maxAnnotation      = "deployment.kubernetes.io/max-replicas"
)

// longestHistory is how many characters a set remembers of the revisions that it was.
const longestHistory = 2000

// own are the annotations that a deployment and its sets do not share.
var own = []string{
	corev1.LastAppliedConfigAnnotation, revisionAnnotation, historyAnnotation, desiredAnnotation, maxAnnotation, appsv1.DeprecatedRollbackTo,
}

// revision is which one a set is, 0 where it does not say.
func revision(s *appsv1.ReplicaSet) int64 {
	n, err := strconv.ParseInt(s.Annotations[revisionAnnotation], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// next is the revision that the current set is to be at least.
func (r *rollout) next() int64 {
	most := int64(0)
	for _, s := range r.old {
		most = max(most, revision(s))
	}
	if most == math.MaxInt64 {
		return most
	}
	return most + 1
}

// last is the revision before the last one, 0 where there is none.
func (r *rollout) last() int64 {
	most, second := int64(0), int64(0)
	for _, s := range r.all() {
		if n := revision(s); n >= most {
			most, second = n, most
		} else {
			second = max(second, n)
		}
	}
	return second
}

// annotated are a set's annotations when it is the current one: those of the deployment,
// and its revision, which is only ever raised. Former revisions of the set are its history.
func (r *rollout) annotated(s *appsv1.ReplicaSet) map[string]string {
	all := maps.Clone(s.Annotations)
	if all == nil {
		all = map[string]string{}
	}
	for k, v := range r.deployment.Annotations {
		if !slices.Contains(own, k) {
			all[k] = v
		}
	}
	before, said := all[revisionAnnotation]
	if n, err := strconv.ParseInt(before, 10, 64); before != "" && err != nil || n >= r.next() {
		return all // it is what somebody made of it, or newer
	}
	all[revisionAnnotation] = strconv.FormatInt(r.next(), 10)
	if said {
		all[historyAnnotation] = remember(all[historyAnnotation], before)
	}
	return all
}

// remember adds a revision to a history; the oldest are forgotten when it gets too long.
func remember(history, revision string) string {
	if history == "" {
		return revision
	}
	for len(history)+1+len(revision) > longestHistory {
		_, rest, more := strings.Cut(history, ",")
		if !more {
			return revision
		}
		history = rest
	}
	return history + "," + revision
}

// told are a set's annotations with how many pods are wanted.
func (r *rollout) told(all map[string]string) map[string]string {
	all = maps.Clone(all)
	if all == nil {
		all = map[string]string{}
	}
	all[desiredAnnotation], all[maxAnnotation] = strconv.Itoa(r.want()), strconv.Itoa(r.most())
	return all
}

// sayRevision has the deployment say which revision it is at.
func (r *rollout) sayRevision(revision string) {
	if r.deployment.Annotations[revisionAnnotation] == revision {
		return
	}
	if r.deployment.Annotations == nil {
		r.deployment.Annotations = map[string]string{}
	}
	r.deployment.Annotations[revisionAnnotation] = revision
}

// made is the set of the deployment's template as it is created.
func (r *rollout) made() *appsv1.ReplicaSet {
	d := r.deployment
	hash := templateHash(&d.Spec.Template, d.Status.CollisionCount)
	template := d.Spec.Template.DeepCopy()
	template.Labels = labelled(template.Labels, hash)
	selector := d.Spec.Selector.DeepCopy()
	selector.MatchLabels = labelled(selector.MatchLabels, hash)
	s := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Name: setName(d.Name, hash), Namespace: d.Namespace, Labels: maps.Clone(template.Labels),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(d, deploymentKind)},
		},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: ptr.To(int32(r.room(0))), MinReadySeconds: d.Spec.MinReadySeconds, Selector: selector, Template: *template,
		},
	}
	s.Annotations = r.told(r.annotated(s))
	return s
}

// labelled are labels and the one that says the template.
func labelled(labels map[string]string, hash string) map[string]string {
	all := maps.Clone(labels)
	if all == nil {
		all = map[string]string{}
	}
	all[appsv1.DefaultDeploymentUniqueLabelKey] = hash
	return all
}

// setName names a set after its deployment and template; of a long name the end is cut.
func setName(deployment, hash string) string {
	if most := validation.DNS1123SubdomainMaxLength - len(hash) - 1; len(deployment) > most {
		deployment = deployment[:most]
	}
	return deployment + "-" + hash
}

// templateHash is what tells the templates of a deployment apart, as upstream computes it.
// Nothing may rely on what it is: it changes with the fields that a template may have.
func templateHash(t *corev1.PodTemplateSpec, collisions *int32) string {
	hash := fnv.New32a()
	fmt.Fprintf(hash, "%v", dump.ForHash(*t))
	if collisions != nil {
		count := make([]byte, 8)
		binary.LittleEndian.PutUint32(count, uint32(*collisions))
		hash.Write(count)
	}
	return rand.SafeEncodeString(strconv.FormatUint(uint64(hash.Sum32()), 10))
}

// forgotten are the old sets that the history has no room for. A set that has pods, or may
// have, stays.
func (r *rollout) forgotten() (sets []*appsv1.ReplicaSet) {
	limit := r.deployment.Spec.RevisionHistoryLimit
	if limit == nil || *limit == math.MaxInt32 {
		return nil
	}
	kept := slices.DeleteFunc(slices.Clone(r.old), func(s *appsv1.ReplicaSet) bool { return s.DeletionTimestamp != nil })
	slices.SortStableFunc(kept, func(a, b *appsv1.ReplicaSet) int {
		return cmp.Or(cmp.Compare(revision(a), revision(b)), older(a, b))
	})
	for _, s := range kept[:max(len(kept)-int(*limit), 0)] {
		if size(s) == 0 && s.Status.Replicas == 0 && s.Generation <= s.Status.ObservedGeneration {
			sets = append(sets, s)
		}
	}
	return sets
}
