package images

// Progress is how far the import of an archive is.
type Progress struct {
	// Image is the one that is being written, the Number-th of Count.
	Image         string
	Number, Count int
	// Done and Total are the bytes of all images of the archive.
	Done, Total int64
	// Unpacking says that the image's layers are being unpacked.
	Unpacking bool
}

// reporter tells of progress; its methods do nothing where nobody wants to know.
type reporter struct {
	bundles []bundle
	told    func(Progress)
	now     Progress
}

func (s *Store) reporter(bundles []bundle) *reporter {
	m := &reporter{bundles: bundles, told: s.told, now: Progress{Count: len(bundles)}}
	for _, b := range bundles {
		m.now.Total += b.manifest.Size + b.config.Size
		for _, layer := range b.layers {
			m.now.Total += layer.Size
		}
	}
	return m
}

func (m *reporter) begin(i int) {
	m.now.Image, m.now.Number, m.now.Unpacking = m.bundles[i].names[0], i+1, false
	m.tell()
}

func (m *reporter) set(done int64) {
	m.now.Done, m.now.Unpacking = min(done, m.now.Total), false
	m.tell()
}

func (m *reporter) unpack() {
	m.now.Unpacking = true
	m.tell()
}

func (m *reporter) tell() {
	if m.told != nil {
		m.told(m.now)
	}
}
