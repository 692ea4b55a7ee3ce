package pod

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/warning"

	"laterna.dev/laterna/internal/registry/core/podspec"
	"laterna.dev/laterna/internal/registry/core/podspec/resources"
	"laterna.dev/laterna/internal/registry/resource"
)

func rules() resource.Rules[*corev1.Pod] {
	return resource.Rules[*corev1.Pod]{
		PrepareCreate:  prepareCreate,
		PrepareUpdate:  prepareUpdate,
		Validate:       func(_ context.Context, p *corev1.Pod) field.ErrorList { return validateCreate(p) },
		ValidateUpdate: func(_ context.Context, p, old *corev1.Pod) field.ErrorList { return validateUpdate(p, old) },
		WarnCreate:     func(_ context.Context, p *corev1.Pod) []string { return warnCreate(p) },
		Reset:          []string{"status"},
		GracefulDelete: func(_ context.Context, p *corev1.Pod, o *metav1.DeleteOptions) bool {
			period := gracePeriod(p, o.GracePeriodSeconds)
			o.GracePeriodSeconds = &period
			return true
		},
	}
}

func prepareCreate(ctx context.Context, p *corev1.Pod) {
	for _, text := range podspec.PrepareCreate(p) {
		warning.AddWarning(ctx, "", text)
	}
	podspec.SyncServiceAccount(&p.Spec)
	p.Generation = 1
	p.Status = corev1.PodStatus{Phase: corev1.PodPending, QOSClass: resources.QOSClass(&p.Spec)}
	if len(p.Spec.SchedulingGates) > 0 {
		setCondition(p, corev1.PodCondition{
			Type:    corev1.PodScheduled,
			Status:  corev1.ConditionFalse,
			Reason:  corev1.PodReasonSchedulingGated,
			Message: "Scheduling is blocked due to non-empty scheduling gates",
		})
	}
}

func prepareUpdate(ctx context.Context, p, old *corev1.Pod) {
	for _, text := range podspec.PrepareUpdate(p) {
		warning.AddWarning(ctx, "", text)
	}
	podspec.SyncServiceAccount(&p.Spec)
	p.Status = old.Status
	if !apiequality.Semantic.DeepEqual(p.Spec, old.Spec) {
		p.Generation = old.Generation + 1
	}
}

func warnCreate(p *corev1.Pod) []string {
	var warnings []string
	if msgs := validation.IsDNS1123Label(p.Name); len(msgs) > 0 {
		warnings = append(warnings, fmt.Sprintf("metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: %v", msgs))
	}
	return append(warnings, podspec.Warnings(&p.ObjectMeta, &p.Spec, nil)...)
}

// gracePeriod returns the seconds that a pod gets to end: those asked for, else
// its own; none when no node runs it or it has ended; one when negative.
func gracePeriod(p *corev1.Pod, asked *int64) int64 {
	period := int64(0)
	switch {
	case asked != nil:
		period = *asked
	case p.Spec.TerminationGracePeriodSeconds != nil:
		period = *p.Spec.TerminationGracePeriodSeconds
	}
	if p.Spec.NodeName == "" || isTerminal(p.Status.Phase) {
		return 0
	}
	if period < 0 {
		return 1
	}
	return period
}

func isTerminal(phase corev1.PodPhase) bool {
	return phase == corev1.PodFailed || phase == corev1.PodSucceeded
}

// setCondition sets a condition of a pod as it is now; its transition time changes with
// its status only.
func setCondition(p *corev1.Pod, c corev1.PodCondition) {
	s := &p.Status
	c.LastTransitionTime, c.ObservedGeneration = metav1.Now(), p.Generation
	for i := range s.Conditions {
		if have := &s.Conditions[i]; have.Type == c.Type {
			if have.Status == c.Status {
				c.LastTransitionTime = have.LastTransitionTime
			}
			*have = c
			return
		}
	}
	s.Conditions = append(s.Conditions, c)
}
