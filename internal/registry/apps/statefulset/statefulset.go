// Package statefulset owns the StatefulSet kind of apps/v1: defaults, validation, table
// and storage with the status and scale subresources. Making its pods and claims is
// internal/controller/statefulset's.
package statefulset

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/persistentvolumeclaim"
	"laterna.dev/laterna/internal/registry/core/podspec"
	"laterna.dev/laterna/internal/registry/resource"
)

// Definition describes stateful sets.
func Definition() resource.Definition[*appsv1.StatefulSet] {
	return resource.Definition[*appsv1.StatefulSet]{
		GroupVersion: appsv1.SchemeGroupVersion,
		Plural:       "statefulsets",
		Singular:     "statefulset",
		ShortNames:   []string{"sts"},
		Categories:   []string{"all"},
		Namespaced:   true,
		New:          func() *appsv1.StatefulSet { return &appsv1.StatefulSet{} },
		NewList:      func() runtime.Object { return &appsv1.StatefulSetList{} },
		Default:      setDefaults,
		Rules:        rules(),
		Status: &resource.Rules[*appsv1.StatefulSet]{
			PrepareUpdate:  func(_ context.Context, s, old *appsv1.StatefulSet) { s.Spec = old.Spec },
			ValidateUpdate: func(_ context.Context, s, old *appsv1.StatefulSet) field.ErrorList { return validateStatus(s, old) },
			Reset:          []string{"spec"},
		},
		Scaling: &resource.Scaling[*appsv1.StatefulSet]{
			Replicas:    replicas,
			SetReplicas: func(s *appsv1.StatefulSet, n int32) { s.Spec.Replicas = &n },
			Has:         func(s *appsv1.StatefulSet) int32 { return s.Status.Replicas },
			Selector: func(s *appsv1.StatefulSet) (string, error) {
				selector, err := metav1.LabelSelectorAsSelector(s.Spec.Selector)
				if err != nil {
					return "", err
				}
				return selector.String(), nil
			},
		},
		Columns: columns(),
	}
}

func rules() resource.Rules[*appsv1.StatefulSet] {
	return resource.Rules[*appsv1.StatefulSet]{
		// Pods are named and have their host name after the set.
		ValidName: apivalidation.NameIsDNSLabel,
		PrepareCreate: func(_ context.Context, s *appsv1.StatefulSet) {
			s.Status = appsv1.StatefulSetStatus{}
			s.Generation = 1
		},
		PrepareUpdate: func(_ context.Context, s, old *appsv1.StatefulSet) {
			s.Status = old.Status
			if !equality.Semantic.DeepEqual(s.Spec, old.Spec) {
				s.Generation = old.Generation + 1
			}
		},
		Validate:       func(_ context.Context, s *appsv1.StatefulSet) field.ErrorList { return validate(s) },
		ValidateUpdate: func(_ context.Context, s, old *appsv1.StatefulSet) field.ErrorList { return validateUpdate(s, old) },
		WarnCreate: func(_ context.Context, s *appsv1.StatefulSet) []string {
			texts := warnings(s)
			if len(s.Spec.VolumeClaimTemplates) > 0 {
				texts = append(texts, "spec.volumeClaimTemplates: nothing provisions volumes in Laterna: the set's pods wait, unless something else binds their claims and mounts them")
			}
			return texts
		},
		WarnUpdate: func(_ context.Context, s, _ *appsv1.StatefulSet) []string { return warnings(s) },
		Reset:      []string{"status"},
	}
}

func replicas(s *appsv1.StatefulSet) int32 {
	if s.Spec.Replicas == nil {
		return 1
	}
	return *s.Spec.Replicas
}

func setDefaults(s *appsv1.StatefulSet) {
	podspec.SetDefaults(&s.Spec.Template.Spec)
	if s.Spec.PodManagementPolicy == "" {
		s.Spec.PodManagementPolicy = appsv1.OrderedReadyPodManagement
	}
	u := &s.Spec.UpdateStrategy
	if u.Type == "" {
		u.Type = appsv1.RollingUpdateStatefulSetStrategyType
		if u.RollingUpdate == nil {
			u.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{}
		}
	}
	if u.Type == appsv1.RollingUpdateStatefulSetStrategyType && u.RollingUpdate != nil && u.RollingUpdate.Partition == nil {
		u.RollingUpdate.Partition = new(int32(0))
	}
	if s.Spec.PersistentVolumeClaimRetentionPolicy == nil {
		s.Spec.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{}
	}
	keep := s.Spec.PersistentVolumeClaimRetentionPolicy
	for _, when := range []*appsv1.PersistentVolumeClaimRetentionPolicyType{&keep.WhenDeleted, &keep.WhenScaled} {
		if *when == "" {
			*when = appsv1.RetainPersistentVolumeClaimRetentionPolicyType
		}
	}
	if s.Spec.Replicas == nil {
		s.Spec.Replicas = new(int32(1))
	}
	if s.Spec.RevisionHistoryLimit == nil {
		s.Spec.RevisionHistoryLimit = new(int32(10))
	}
	for i := range s.Spec.VolumeClaimTemplates {
		claim := &s.Spec.VolumeClaimTemplates[i]
		claim.TypeMeta = metav1.TypeMeta{APIVersion: corev1.SchemeGroupVersion.String(), Kind: "PersistentVolumeClaim"}
		persistentvolumeclaim.SetDefaults(claim)
	}
}

// warnings names what is likely a mistake. A set keeps all of its history below zero.
func warnings(s *appsv1.StatefulSet) []string {
	texts := podspec.Warnings(&s.Spec.Template.ObjectMeta, &s.Spec.Template.Spec, field.NewPath("spec", "template"))
	if s.Spec.RevisionHistoryLimit != nil && *s.Spec.RevisionHistoryLimit < 0 {
		texts = append(texts, "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended")
	}
	return texts
}

func columns() resource.Columns[*appsv1.StatefulSet] {
	return resource.Columns[*appsv1.StatefulSet]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "Ready", Type: "string", Description: "Number of the pod with ready state"},
			resource.AgeColumn(),
			{Name: "Containers", Type: "string", Priority: 1, Description: "Names of each container in the template."},
			{Name: "Images", Type: "string", Priority: 1, Description: "Images referenced by each container in the template."},
		},
		Row: func(s *appsv1.StatefulSet) []any {
			names, images := podspec.Containers(&s.Spec.Template.Spec)
			return []any{s.Name, fmt.Sprintf("%d/%d", s.Status.ReadyReplicas, replicas(s)), resource.Age(s), names, images}
		},
	}
}
