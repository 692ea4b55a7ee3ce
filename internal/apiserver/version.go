package apiserver

import (
	"fmt"
	goruntime "runtime"
	"strings"

	"k8s.io/apimachinery/pkg/version"
	"k8s.io/component-base/compatibility"
)

// APILevel is the version of Kubernetes whose API the server speaks: the one that
// the libraries in go.mod come from.
const APILevel = "1.37.2"

// Version identifies a build of the program. The zero value is a development
// build.
type Version struct {
	// Program is the program's own version, such as 0.1.0.
	Program string
	// Commit and Date identify the build; Date is in RFC 3339.
	Commit, Date string
}

// Info returns what /version answers. kubectl reads Major and Minor to tell how
// far it is from the server.
func (v Version) Info() version.Info {
	major, rest, _ := strings.Cut(APILevel, ".")
	minor, _, _ := strings.Cut(rest, ".")
	program := v.Program
	if program == "" {
		program = "dev"
	}
	return version.Info{
		Major:        major,
		Minor:        minor,
		GitVersion:   "v" + APILevel + "+laterna." + program,
		GitCommit:    v.Commit,
		GitTreeState: "clean",
		BuildDate:    v.Date,
		GoVersion:    goruntime.Version(),
		Compiler:     goruntime.Compiler,
		Platform:     fmt.Sprintf("%s/%s", goruntime.GOOS, goruntime.GOARCH),
	}
}

// effectiveVersion gives the library the API level, whatever was linked into its
// own variables.
type effectiveVersion struct {
	compatibility.MutableEffectiveVersion
	info version.Info
}

func newEffectiveVersion(v Version) compatibility.EffectiveVersion {
	return effectiveVersion{compatibility.NewEffectiveVersionFromString(APILevel, "", ""), v.Info()}
}

// Info implements compatibility.EffectiveVersion.
func (e effectiveVersion) Info() *version.Info {
	info := e.info
	library := e.MutableEffectiveVersion.Info()
	info.EmulationMajor, info.EmulationMinor = library.EmulationMajor, library.EmulationMinor
	info.MinCompatibilityMajor, info.MinCompatibilityMinor = library.MinCompatibilityMajor, library.MinCompatibilityMinor
	return &info
}
