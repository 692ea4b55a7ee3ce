package podidentity_test

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/aws/podidentity"
	"laterna.dev/laterna/internal/aws/podidentity/podidentitytest"
)

func TestPatchIsTheWebhooks(t *testing.T) {
	for _, c := range podidentitytest.Read(t, "testdata/cases") {
		t.Run(c.Name, func(t *testing.T) {
			s := c.Of(t)
			before := c.Pod.DeepCopy()
			injection := s.Decide(c.Pod, "shop", c.Sources(t, s))
			var got any
			if injection != nil {
				got = asJSON(t, injection.Patch(c.Pod))
			}
			if want := asJSON(t, c.Patch); !reflect.DeepEqual(got, want) {
				t.Errorf("the patch is\n%s\nwant\n%s", pretty(got), pretty(want))
			}
			if !reflect.DeepEqual(before, c.Pod) {
				t.Error("the pod was changed while the patch was made")
			}
			checkApplied(t, c, s, injection)
		})
	}
}

// checkApplied holds the built-in admission to the patch, and reads its report.
func checkApplied(t *testing.T, c *podidentitytest.Case, s *podidentity.Settings, injection *podidentity.Injection) {
	t.Helper()
	if injection != nil {
		want := patched(t, c.Pod, injection.Patch(c.Pod))
		injection.Apply(c.Pod)
		if got := asJSON(t, c.Pod); !reflect.DeepEqual(got, asJSON(t, want)) {
			t.Errorf("applied it is\n%s\npatched\n%s", pretty(got), pretty(want))
		}
		once := c.Pod.DeepCopy()
		if injection.Apply(c.Pod); !reflect.DeepEqual(once, c.Pod) {
			t.Error("applied twice it is another pod")
		}
	}
	annotations := map[string]string{}
	if c.Account != nil {
		annotations = *c.Account
	}
	l := checkLocal(t, c, s, annotations, injection)
	r := s.Report(c.Pod, annotations, injection, l)
	if c.Report != nil && r.Text != *c.Report {
		t.Errorf("the report is\n%s\nwant\n%s", r.Text, *c.Report)
	}
	if (c.Report != nil || c.Problems != nil) && !slices.Equal(r.Problems, c.Problems) {
		t.Errorf("the problems are\n%s\nwant\n%s", strings.Join(r.Problems, "\n"), strings.Join(c.Problems, "\n"))
	}
}

// checkLocal applies what leads to the system's own STS, which is for nobody who does not ask.
func checkLocal(t *testing.T, c *podidentitytest.Case, s *podidentity.Settings, annotations map[string]string, injection *podidentity.Injection) *podidentity.LocalSTS {
	t.Helper()
	wants := s.WantsLocalSTS(c.Pod.Annotations, annotations, injection != nil)
	if wants != (c.Admitted != nil) {
		t.Fatalf("led to the local STS: %v", wants)
	}
	if !wants {
		return nil
	}
	l := s.DecideLocal(c.Pod, netip.MustParseAddr(podidentitytest.STS))
	for range 2 { // again changes nothing
		l.Apply(c.Pod)
		c.Pod.Spec.ServiceAccountName = ""
		if got := asJSON(t, c.Pod.Spec); !reflect.DeepEqual(got, asJSON(t, c.Admitted)) {
			t.Errorf("admitted it is\n%s\nwant\n%s", pretty(got), pretty(c.Admitted))
		}
		c.Pod.Spec.ServiceAccountName = "builder"
	}
	return l
}

func pretty(v any) string {
	raw, _ := json.MarshalIndent(v, "", " ")
	return string(raw)
}

func asJSON(t *testing.T, v any) (out any) {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// BenchmarkPatch makes the patch of a pod with four containers, from the decision to JSON.
func BenchmarkPatch(b *testing.B) {
	s := podidentity.Defaults()
	s.Region = "eu-central-1"
	annotations := map[string]string{"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/reader"}
	pod := &corev1.Pod{Spec: corev1.PodSpec{ServiceAccountName: "builder", InitContainers: make([]corev1.Container, 1), Containers: make([]corev1.Container, 3), Volumes: make([]corev1.Volume, 2)}}
	for i := range pod.Spec.Containers {
		pod.Spec.Containers[i].Env = []corev1.EnvVar{{Name: "COLOUR", Value: "blue"}, {Name: "SIZE", Value: "large"}}
		pod.Spec.Containers[i].VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
	}
	b.ReportAllocs()
	for b.Loop() {
		e := s.OfAccount(annotations)
		raw, err := json.Marshal(s.Decide(pod, "shop", podidentity.Sources{Account: &e}).Patch(pod))
		if err != nil || len(raw) == 0 {
			b.Fatal(err)
		}
	}
}
