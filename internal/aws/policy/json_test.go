package policy

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestJSONIsReadStrictly(t *testing.T) {
	for text, ok := range map[string]bool{
		`{"a":[1,-0.5e+3,true,false,null,"x\n\"\u00e9\ud83d\ude00"]} `: true,
		` [] `: true, `""`: true, `0`: true, `{"a":1,"b":{"a":1}}`: true,
		``: false, `{`: false, `{"a"}`: false, `{"a":1,}`: false, `[1,]`: false, `{a:1}`: false, `{'a':1}`: false,
		`{"a":1}{}`: false, `01`: false, `1.`: false, `.5`: false, `1e`: false, `+1`: false, `-`: false, `--1`: false, `nul`: false,
		"\"\x00\"": false, "\"\n\"": false, `"\x"`: false, `"\u12"`: false, `"\ud800"`: false, `"\ud800A"`: false, `"abc`: false, `"\`: false,
		"\"\xff\"": false, "\ufeff{}": false, "{\u00a0}": false,
		`{"a":1,"a":2}`: false, `{"a":1,"\u0061":2}`: false, `{"x":{"a":1,"a":1}}`: false,
		strings.Repeat("[", 9) + strings.Repeat("]", 9):   true,
		strings.Repeat("[", 10) + strings.Repeat("]", 10): false,
		strings.Repeat("[", 100000):                       false,
		`"` + strings.Repeat("x", maxDocument) + `"`:      false,
	} {
		if _, err := parseJSON(text); (err == nil) != ok {
			t.Errorf("%.60q is read with %v, want ok %v", text, err, ok)
		}
	}
}

func TestManyMembersMayNotRepeatEither(t *testing.T) {
	var b strings.Builder
	b.WriteString("{")
	for i := range 40 {
		b.WriteString(`"` + strings.Repeat("x", i+1) + `":0,`)
	}
	if _, err := parseJSON(b.String() + `"y":0}`); err != nil {
		t.Errorf("members that differ are refused: %v", err)
	}
	for _, n := range []int{1, 16, 17, 40} {
		if _, err := parseJSON(b.String() + `"` + strings.Repeat("x", n) + `":0}`); err == nil {
			t.Errorf("member %d may repeat", n)
		}
	}
}

func TestEscapesOfStrings(t *testing.T) {
	for text, want := range map[string]string{
		`"plain"`: "plain", `"a\\b\/c\"d"`: `a\b/c"d`, `"\b\f\n\r\t"`: "\b\f\n\r\t", `"\u00E9é"`: "éé", `"\ud83d\ude00x"`: "😀x",
	} {
		v, err := parseJSON(text)
		if err != nil || v.text != want {
			t.Errorf("%s is %q, %v, want %q", text, v.text, err, want)
		}
	}
}

func TestBlanksOutsideStringsDoNotCount(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, `{"a": "b c"}`: 11, "{\n\t\"a\" :\r\n \"b\" }": 9, `{"a":"x\" y"}`: 13, `{"a":"\\" , "b":1}`: 16, `"é 😀"`: 5, `"\`: 2,
	} {
		if got := Size(text); got != want {
			t.Errorf("Size(%q) is %d, want %d", text, got, want)
		}
	}
}

func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e3,true,null,"\u00e9\ud83d\ude00"]}`, `[[[]]]`, `{"a":1,"a":2}`, `-0`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, err := parseJSON(text)
		if err == nil && !json.Valid([]byte(text)) {
			t.Errorf("%q is read and is no JSON", text)
		}
		Size(text)
	})
}
