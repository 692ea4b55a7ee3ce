package job

import (
	"fmt"
	"slices"
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/controller/workload"
)

// indexVariable tells the containers of a pod which index is theirs.
const indexVariable = "JOB_COMPLETION_INDEX"

// maxGenerateName is how much of a name there may be before what makes it unique.
const maxGenerateName = 58

// kind is that of jobs.
var kind = batchv1.SchemeGroupVersion.WithKind("Job")

// newPod is a pod of a job, which is held until it is counted.
func newPod(j *batchv1.Job) *corev1.Pod {
	p := workload.FromTemplate(&j.Spec.Template, j, kind)
	p.GenerateName = j.Name + "-"
	if !isHeld(p) {
		p.Finalizers = append(p.Finalizers, batchv1.JobTrackingFinalizer)
	}
	return p
}

// newIndexedPod is a pod for an index. before is the one that failed last for it, nil
// where none did or the job does not care.
func (l *look) newIndexedPod(ix int, before *corev1.Pod) *corev1.Pod {
	p := newPod(l.job)
	text := strconv.Itoa(ix)
	p.GenerateName = indexedName(l.job.Name, text)
	p.Spec.Hostname = l.job.Name + "-" + text
	put(&p.Annotations, batchv1.JobCompletionIndexAnnotation, text)
	put(&p.Labels, batchv1.JobCompletionIndexAnnotation, text)
	if limitsIndexes(l.job) {
		failed, ignored := 0, 0
		if before != nil {
			failed, ignored = number(before, failureCount, 0), number(before, ignoredCount, 0)
			if judge(l.job.Spec.PodFailurePolicy, before).counts {
				failed++
			} else {
				ignored++
			}
		}
		put(&p.Annotations, failureCount, strconv.Itoa(failed))
		if ignored > 0 {
			put(&p.Annotations, ignoredCount, strconv.Itoa(ignored))
		}
	}
	for _, all := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range all {
			tellIndex(&all[i])
		}
	}
	return p
}

// indexedName is what the name of a pod begins with; the index is never cut off.
func indexedName(job, index string) string {
	end := "-" + index + "-"
	return job[:min(len(job), maxGenerateName-len(end))] + end
}

func put(m *map[string]string, key, value string) {
	if *m == nil {
		*m = map[string]string{}
	}
	(*m)[key] = value
}

func tellIndex(c *corev1.Container) {
	if slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == indexVariable }) {
		return
	}
	c.Env = append(c.Env, corev1.EnvVar{Name: indexVariable, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{
		FieldPath: fmt.Sprintf("metadata.labels['%s']", batchv1.JobCompletionIndexAnnotation),
	}}})
}
