package v1alpha1

// InStep counts the sources (objects and tokens) of all volumes that the files show in
// their newest version, and all of them.
func (s *PodProjectionStatus) InStep() (inStep, all int) {
	for i := range s.Volumes {
		n, m := s.Volumes[i].InStep()
		inStep, all = inStep+n, all+m
	}
	return inStep, all
}

// InStep counts the sources (objects and tokens) that the volume's files show in their
// newest version, and all of them. An object that does not exist, and of which nothing
// is shown, is in step as soon as the volume shows anything at all: it is optional.
func (v *VolumeStatus) InStep() (inStep, all int) {
	for _, s := range v.Sources {
		if v.Generation != "" && s.ObservedVersion == s.PublishedVersion {
			inStep++
		}
	}
	for _, t := range v.Tokens {
		if v.Generation != "" && t.ExpirationTime != nil {
			inStep++
		}
	}
	return inStep, len(v.Sources) + len(v.Tokens)
}
