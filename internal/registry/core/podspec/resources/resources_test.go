package resources_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/registry/core/podspec"
	"laterna.dev/laterna/internal/registry/core/podspec/podspectest"
)

func TestResources(t *testing.T) {
	const path = "spec.containers[0].resources"
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("right", podspectest.In("resources: {limits: {cpu: 1, memory: 1Gi, ephemeral-storage: 1, example.com/gpu: 2}, requests: {cpu: 500m}}")),
		wrong("request over limit", podspectest.In("resources: {limits: {cpu: 1}, requests: {cpu: 2}}"), path+`.requests: Invalid value: "2": must be less than or equal to cpu limit of 1`),
		wrong("negative", podspectest.In("resources: {limits: {cpu: -1}}"),
			path+`.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0`,
			path+`.requests[cpu]: Invalid value: "-1": must be greater than or equal to 0`),
		wrong("names", podspectest.In("resources: {requests: {pods: 1, nope: 1, 'a b': 1}}"),
			path+`.requests[a b]: Invalid value: "a b": `+podspectest.Qualified,
			path+`.requests[nope]: Invalid value: "nope": must be a standard resource type or fully qualified`,
			path+`.requests[nope]: Invalid value: "nope": must be a standard resource for containers`,
			path+`.requests[pods]: Invalid value: "pods": must be a standard resource for containers`),
		wrong("devices are not shared out", podspectest.In("resources: {limits: {example.com/gpu: 2}, requests: {example.com/gpu: 1}}"), path+`.requests: Invalid value: "1": must be equal to example.com/gpu limit of 2`),
		wrong("devices without limit", podspectest.In("resources: {requests: {example.com/gpu: 1}}"), path+".limits: Required value: Limit must be set for non overcommitable resources"),
		wrong("half a device", podspectest.In("resources: {limits: {example.com/gpu: 500m}}"),
			path+`.limits[example.com/gpu]: Invalid value: "500m": must be an integer`,
			path+`.requests[example.com/gpu]: Invalid value: "500m": must be an integer`),
		wrong("huge pages alone", podspectest.In("resources: {limits: {hugepages-2Mi: 4Mi}}"), path+": Forbidden: HugePages require cpu or memory"),
		wrong("part of a page", podspectest.In("resources: {limits: {cpu: 1, hugepages-2Mi: 3Mi}}"),
			path+`.limits[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi`,
			path+`.requests[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi`),
		wrong("claims", podspectest.In("resources: {claims: [{name: ''}, {name: a}]}"),
			path+".claims[0]: Required value",
			path+`.claims[1]: Not found: "a": must be one of the names in pod.spec.resourceClaims which is empty`),
		wrong("pod level", podspectest.With("resources: {limits: {cpu: 1}, requests: {cpu: 1}}")),
		wrong("pod level names", podspectest.With("resources: {limits: {example.com/x: 1}}"),
			`spec.resources.limits[example.com/x]: Unsupported value: "example.com/x": supported values: "cpu", "hugepages-", "memory"`),
		wrong("pod level less than its containers", podspectest.In("resources: {requests: {cpu: 2}, limits: {cpu: 3}}")+"resources: {limits: {cpu: 1}, requests: {cpu: 1}}",
			`spec.resources.requests[cpu]: Invalid value: "1": must be greater than or equal to aggregate container requests of 2`,
			`spec.resources.containers[0][cpu].limits: Invalid value: "3": must be less than or equal to pod limits of 1`),
		wrong("overhead", podspectest.With("overhead: {nope: 1}"),
			`spec.overhead.limits[nope]: Invalid value: "nope": must be a standard resource type or fully qualified`,
			`spec.overhead.limits[nope]: Invalid value: "nope": must be a standard resource for containers`),
	)
}

func TestClaims(t *testing.T) {
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("claims", podspectest.With("resourceClaims: [{}, {name: a, resourceClaimName: x, resourceClaimTemplateName: z}]"),
			"spec.resourceClaims[0].name: Required value",
			"spec.resourceClaims[0]: Invalid value: {\"name\":\"\"}: must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
			"spec.resourceClaims[1]: Invalid value: {\"name\":\"a\",\"resourceClaimName\":\"x\",\"resourceClaimTemplateName\":\"z\"}: at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"),
	)
}

func TestPodLevelRequests(t *testing.T) {
	pod := podspectest.Parse[corev1.Pod](t, `
spec:
  resources: {limits: {cpu: 2, memory: 1Gi}}
  containers: [{name: a, image: i, resources: {requests: {cpu: 300m}}}, {name: b, image: i, resources: {requests: {cpu: 200m}}}]
`)
	podspec.SetPodDefaults(pod)
	requests := pod.Spec.Resources.Requests
	if cpu, memory := requests["cpu"], requests["memory"]; cpu.String() != "500m" || memory.String() != "1Gi" {
		t.Errorf("pod-level requests %v", requests)
	}
}
