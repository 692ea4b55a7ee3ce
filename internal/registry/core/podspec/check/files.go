package check

import (
	"fmt"
	"path"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Mode requires the mode of a file, where there is one, to be one of permissions only.
func Mode(mode *int32, at *field.Path) field.ErrorList { return modeUpTo(0o777, mode, at) }

// DirMode is Mode for a directory, which may be sticky.
func DirMode(mode *int32, at *field.Path) field.ErrorList { return modeUpTo(0o1777, mode, at) }

func modeUpTo(most int32, mode *int32, at *field.Path) field.ErrorList {
	if mode != nil && (*mode > most || *mode < 0) {
		return field.ErrorList{field.Invalid(at, *mode, fmt.Sprintf("must be a number between 0 and 0%o (octal), both inclusive", most))}
	}
	return nil
}

// DescendingPath requires a relative path without "..".
func DescendingPath(p string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if path.IsAbs(p) {
		errs = append(errs, field.Invalid(at, p, "must be a relative path"))
	}
	return append(errs, NoBacksteps(p, at)...)
}

// NoBacksteps requires a path without "..".
func NoBacksteps(p string, at *field.Path) field.ErrorList {
	for _, segment := range strings.Split(p, "/") {
		if segment == ".." {
			return field.ErrorList{field.Invalid(at, p, "must not contain '..'")}
		}
	}
	return nil
}

// VolumeFile requires a path that may name a file in a volume: relative, without
// "..", and not starting with "..", which is kept for the volume's own entries.
func VolumeFile(p string, at *field.Path) field.ErrorList {
	errs := DescendingPath(p, at)
	if strings.HasPrefix(p, "..") && !strings.HasPrefix(p, "../") {
		errs = append(errs, field.Invalid(at, p, "must not start with '..'"))
	}
	return errs
}

// Owner requires the owner of a file, where there is one, to be a user.
func Owner(uid *int64, path *field.Path) field.ErrorList {
	if uid == nil {
		return nil
	}
	return Messages(validation.IsValidUserID(*uid), *uid, path)
}
