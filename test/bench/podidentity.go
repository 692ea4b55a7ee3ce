package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/aws/podidentity"
)

// measurePodIdentity makes the patch that gives a pod of four containers a role, from the
// annotations to JSON. The baseline is the same pod written as JSON, which no webhook can do
// without.
func measurePodIdentity(context.Context, *bench) ([]figure, error) {
	settings := podidentity.Defaults()
	settings.Region = "eu-central-1"
	annotations := map[string]string{"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/my-role"}
	pod := &corev1.Pod{Spec: corev1.PodSpec{ServiceAccountName: "default", InitContainers: make([]corev1.Container, 1), Containers: make([]corev1.Container, 3)}}
	for i := range pod.Spec.Containers {
		pod.Spec.Containers[i].Env = []corev1.EnvVar{{Name: "COLOUR", Value: "blue"}, {Name: "SIZE", Value: "large"}}
		pod.Spec.Containers[i].VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
	}
	patch, _, err := repeat(func() error {
		entry := settings.OfAccount(annotations)
		injection := settings.Decide(pod, "default", podidentity.Sources{Account: &entry})
		_, err := json.Marshal(injection.Patch(pod))
		return err
	}, 500*time.Millisecond)
	if err != nil {
		return nil, err
	}
	bare, _, err := repeat(func() error { _, err := json.Marshal(pod); return err }, 500*time.Millisecond)
	if err != nil {
		return nil, err
	}
	return []figure{{
		What: "patch that gives a pod of 4 containers a role", Value: us(patch), Unit: "µs CPU", Budget: 100,
		Note: fmt.Sprintf("the pod alone as JSON %s µs", number(us(bare))),
	}}, nil
}

func us(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
