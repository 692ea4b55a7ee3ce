package v1alpha1_test

import (
	"fmt"

	"laterna.dev/laterna/api/projection/v1alpha1"
)

func ExamplePodProjectionStatus_InStep() {
	status := v1alpha1.PodProjectionStatus{Volumes: []v1alpha1.VolumeStatus{{
		Name: "config", Generation: "..2030_01_02_03_04_05.1",
		Sources: []v1alpha1.SourceStatus{
			{Kind: v1alpha1.SourceConfigMap, Name: "settings", ObservedVersion: "12", PublishedVersion: "12"},
			{Kind: v1alpha1.SourceSecret, Name: "tls", ObservedVersion: "15", PublishedVersion: "9"},
		},
	}}}
	inStep, all := status.InStep()
	fmt.Printf("%d of %d\n", inStep, all)
	// Output: 1 of 2
}
