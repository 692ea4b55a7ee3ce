package main

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
)

const (
	fileAlign    = 0x200
	sectionAlign = 0x1000
	imageBase    = 0x180000000
)

// exports is a PE export directory.
type exports struct {
	Characteristics, TimeDateStamp               uint32
	MajorVersion, MinorVersion                   uint16
	Name, Base, NumberOfFunctions, NumberOfNames uint32
	Functions, Names, Ordinals                   uint32
}

// forwarder returns a 64-bit Windows library without any code that exports one
// function, which is another library's ("library.Function").
func forwarder(library, function, target string) []byte {
	section := exportSection(library, function, target)
	var b bytes.Buffer
	put := func(v any) { binary.Write(&b, binary.LittleEndian, v) }
	dos := make([]byte, 64)
	copy(dos, "MZ")
	binary.LittleEndian.PutUint32(dos[60:], uint32(len(dos))) // where the PE header is
	b.Write(dos)
	b.WriteString("PE\x00\x00")
	header := pe.OptionalHeader64{
		Magic: 0x20b, SizeOfInitializedData: fileAlign, BaseOfCode: sectionAlign, ImageBase: imageBase,
		SectionAlignment: sectionAlign, FileAlignment: fileAlign, MajorOperatingSystemVersion: 6, MajorSubsystemVersion: 6,
		SizeOfImage: 2 * sectionAlign, SizeOfHeaders: fileAlign, Subsystem: pe.IMAGE_SUBSYSTEM_WINDOWS_CUI,
		DllCharacteristics: pe.IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE | pe.IMAGE_DLLCHARACTERISTICS_NX_COMPAT,
		SizeOfStackReserve: 1 << 20, SizeOfHeapReserve: 1 << 20, NumberOfRvaAndSizes: 16,
	}
	header.DataDirectory[pe.IMAGE_DIRECTORY_ENTRY_EXPORT] = pe.DataDirectory{VirtualAddress: sectionAlign, Size: uint32(len(section))}
	put(pe.FileHeader{
		Machine: pe.IMAGE_FILE_MACHINE_AMD64, NumberOfSections: 1, SizeOfOptionalHeader: uint16(binary.Size(header)),
		Characteristics: pe.IMAGE_FILE_EXECUTABLE_IMAGE | pe.IMAGE_FILE_LARGE_ADDRESS_AWARE | pe.IMAGE_FILE_DLL,
	})
	put(header)
	put(pe.SectionHeader32{
		Name: [8]uint8{'.', 'e', 'd', 'a', 't', 'a'}, VirtualSize: uint32(len(section)), VirtualAddress: sectionAlign,
		SizeOfRawData: fileAlign, PointerToRawData: fileAlign,
		Characteristics: pe.IMAGE_SCN_CNT_INITIALIZED_DATA | pe.IMAGE_SCN_MEM_READ,
	})
	image := make([]byte, 2*fileAlign)
	copy(image, b.Bytes())
	copy(image[fileAlign:], section)
	return image
}

// exportSection returns the directory, its three tables and the names. An address
// inside the directory is not code but the name of another library's function.
func exportSection(library, function, target string) []byte {
	const tables = sectionAlign + 40
	const names = tables + 4 + 4 + 2
	at := func(texts ...string) uint32 {
		offset := names
		for _, t := range texts {
			offset += len(t) + 1
		}
		return uint32(offset)
	}
	var b bytes.Buffer
	put := func(v any) { binary.Write(&b, binary.LittleEndian, v) }
	put(exports{
		Name: at(), Base: 1, NumberOfFunctions: 1, NumberOfNames: 1,
		Functions: tables, Names: tables + 4, Ordinals: tables + 8,
	})
	put(at(library, function))
	put(at(library))
	put(uint16(0))
	for _, text := range []string{library, function, target} {
		b.WriteString(text + "\x00")
	}
	return b.Bytes()
}
