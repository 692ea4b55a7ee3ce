// Package podidentitytest reads the behaviours of the pod identity webhook, for the tests of
// all who inject.
//
// They are the files of internal/aws/podidentity/testdata/cases: one more there needs no code.
package podidentitytest

import (
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"laterna.dev/laterna/internal/aws/podidentity"
	"laterna.dev/laterna/internal/bounded"
)

// Case is a behaviour, in a file of its own. The pod is created in the namespace shop, with
// the service account builder.
type Case struct {
	// Name is that of the file.
	Name string `json:"-"`

	Settings struct {
		Prefix, Region, MountPath, Account, RoleRegion string
		RegionalSTS, LocalSTS                          bool
		Expiration                                     int64
	}
	// Account are the annotations of the service account; without it nobody knows it.
	Account    *map[string]string
	ConfigMap  string
	Identities []string
	// AgentRole is the role that the file gives them.
	AgentRole string
	Random    int64
	Pod       *corev1.Pod
	// Patch is what the webhook answers; none where nothing is injected.
	Patch any
	// Admitted is what the built-in admission makes of the pod's spec, where that is not what
	// the patch makes: the pod is led to the STS at podidentitytest.STS.
	Admitted any
	// Report and Problems are what the built-in admission says besides.
	Report   *string
	Problems []string
}

// STS is the address of the system's own STS in all cases.
const STS = "10.96.7.7"

// Of returns the settings of the case.
func (c *Case) Of(t testing.TB) *podidentity.Settings {
	t.Helper()
	s, in := podidentity.Defaults(), c.Settings
	s.Region, s.RegionalSTS = in.Region, in.RegionalSTS
	s.LocalSTS = in.LocalSTS
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
		base, err := podidentity.RoleBase(in.Account, in.RoleRegion)
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

// Sources returns what is known in the case.
func (c *Case) Sources(t testing.TB, s *podidentity.Settings) podidentity.Sources {
	t.Helper()
	entries, err := s.ParseEntries(c.ConfigMap)
	if err != nil {
		t.Fatal(err)
	}
	from := podidentity.Sources{Entries: entries, Identities: podidentity.Identities{}, Random: func(n int64) int64 {
		if c.Random >= n {
			t.Errorf("a number below %d is wanted", n)
		}
		return c.Random
	}}
	for _, i := range c.Identities {
		from.Identities[i] = podidentity.Identity{RoleARN: c.AgentRole}
	}
	if c.Account != nil {
		e := s.OfAccount(*c.Account)
		from.Account = &e
	}
	return from
}

// Read returns every case, by the directory of the package in whose tests it is called.
func Read(t testing.TB, directory string) []*Case {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(directory, "*.yaml"))
	if err != nil || len(files) < 24 {
		t.Fatalf("%d cases, %v", len(files), err)
	}
	var all []*Case
	for _, file := range files {
		raw, err := bounded.File(file, bounded.Document)
		if err != nil {
			t.Fatal(err)
		}
		c := &Case{Name: strings.TrimSuffix(filepath.Base(file), ".yaml")}
		if err := yaml.UnmarshalStrict(raw, c); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		c.Pod.Name, c.Pod.Namespace, c.Pod.Spec.ServiceAccountName = "app", "shop", "builder"
		all = append(all, c)
	}
	return all
}
