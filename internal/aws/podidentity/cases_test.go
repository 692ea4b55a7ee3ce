package podidentity

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// testCase is a behaviour, in a file of its own under testdata/cases; one more needs no code. The
// pod is created in the namespace shop with the service account builder.
type testCase struct {
	Settings struct {
		Prefix, Region, MountPath, Account, RoleRegion string
		RegionalSTS                                    bool
		Expiration                                     int64
	}
	// Account are the annotations of the service account; without it nobody knows it.
	Account    *map[string]string
	ConfigMap  string
	Identities []string
	Random     int64
	Pod        *corev1.Pod
	// Patch is what the webhook answers; none where nothing is injected.
	Patch any
	// Report and Problems are what the built-in admission says besides.
	Report   *string
	Problems []string
}

func (c *testCase) settings(t *testing.T) *Settings {
	t.Helper()
	s, in := Defaults(), c.Settings
	s.Region, s.RegionalSTS = in.Region, in.RegionalSTS
	if in.Prefix != "" {
		s.Prefix = in.Prefix
	}
	if in.MountPath != "" {
		s.MountPath = in.MountPath
	}
	if in.Expiration != 0 {
		s.Expiration = in.Expiration
	}
	if in.Account != "" {
		base, err := RoleBase(in.Account, in.RoleRegion)
		if err != nil {
			t.Fatal(err)
		}
		s.RoleBase = base
	}
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	return &s
}

func (c *testCase) sources(t *testing.T, s *Settings) Sources {
	t.Helper()
	entries, err := s.ParseEntries(c.ConfigMap)
	if err != nil {
		t.Fatal(err)
	}
	from := Sources{Entries: entries, Identities: Identities{}, Random: func(n int64) int64 {
		if c.Random >= n {
			t.Errorf("a number below %d is wanted", n)
		}
		return c.Random
	}}
	for _, i := range c.Identities {
		from.Identities[i] = true
	}
	if c.Account != nil {
		e := s.OfAccount(*c.Account)
		from.Account = &e
	}
	return from
}

func readCase(t testing.TB, file string) *testCase {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c := &testCase{}
	if err := yaml.UnmarshalStrict(raw, c); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	c.Pod.Name, c.Pod.Namespace, c.Pod.Spec.ServiceAccountName = "app", "shop", "builder"
	return c
}

func TestPatchIsTheWebhooks(t *testing.T) {
	files, err := filepath.Glob("testdata/cases/*.yaml")
	if err != nil || len(files) < 24 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			c := readCase(t, file)
			s := c.settings(t)
			before := c.Pod.DeepCopy()
			injection := s.Decide(c.Pod, "shop", c.sources(t, s))
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
			c.checkApplied(t, s, injection)
		})
	}
}

// checkApplied holds the built-in admission to the patch, and reads its report.
func (c *testCase) checkApplied(t *testing.T, s *Settings, injection *Injection) {
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
	r := s.Report(c.Pod, annotations, injection)
	if c.Report != nil && r.Text != *c.Report {
		t.Errorf("the report is\n%s\nwant\n%s", r.Text, *c.Report)
	}
	if (c.Report != nil || c.Problems != nil) && !slices.Equal(r.Problems, c.Problems) {
		t.Errorf("the problems are\n%s\nwant\n%s", strings.Join(r.Problems, "\n"), strings.Join(c.Problems, "\n"))
	}
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
