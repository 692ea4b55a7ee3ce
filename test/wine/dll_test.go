package main

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"testing"
)

// TestForwarder reads the library as the loader does.
func TestForwarder(t *testing.T) {
	image := forwarder("one.dll", "Function", "two.Other")
	f, err := pe.NewFile(bytes.NewReader(image))
	if err != nil {
		t.Fatal(err)
	}
	data, err := f.Sections[0].Data()
	if err != nil {
		t.Fatal(err)
	}
	var directory exports
	if err := binary.Read(bytes.NewReader(data), binary.LittleEndian, &directory); err != nil {
		t.Fatal(err)
	}
	text := func(address uint32) string {
		text, _, _ := bytes.Cut(data[address-sectionAlign:], []byte{0})
		return string(text)
	}
	pointed := func(table uint32) string { return text(binary.LittleEndian.Uint32(data[table-sectionAlign:])) }
	for got, want := range map[string]string{
		text(directory.Name): "one.dll", pointed(directory.Names): "Function", pointed(directory.Functions): "two.Other",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	header := f.OptionalHeader.(*pe.OptionalHeader64)
	if d := header.DataDirectory[pe.IMAGE_DIRECTORY_ENTRY_EXPORT]; d.VirtualAddress != sectionAlign || int(d.Size) > fileAlign {
		t.Errorf("directory %+v", d)
	}
}
