package podspec

import (
	"path"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

const fileModeMessage = "must be a number between 0 and 0777 (octal), both inclusive"

func validateMode(mode *int32, at *field.Path) field.ErrorList {
	if mode != nil && (*mode > 0o777 || *mode < 0) {
		return field.ErrorList{field.Invalid(at, *mode, fileModeMessage)}
	}
	return nil
}

// descendingPath requires a relative path without "..".
func descendingPath(p string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if path.IsAbs(p) {
		errs = append(errs, field.Invalid(at, p, "must be a relative path"))
	}
	return append(errs, noBacksteps(p, at)...)
}

func noBacksteps(p string, at *field.Path) field.ErrorList {
	for _, segment := range strings.Split(p, "/") {
		if segment == ".." {
			return field.ErrorList{field.Invalid(at, p, "must not contain '..'")}
		}
	}
	return nil
}

// volumeFile requires a path that may name a file in a volume: relative, without
// "..", and not starting with "..", which is kept for the volume's own entries.
func volumeFile(p string, at *field.Path) field.ErrorList {
	errs := descendingPath(p, at)
	if strings.HasPrefix(p, "..") && !strings.HasPrefix(p, "../") {
		errs = append(errs, field.Invalid(at, p, "must not start with '..'"))
	}
	return errs
}
