package indexes

import (
	"slices"
	"testing"
)

func TestTextOfSets(t *testing.T) {
	for _, tc := range []struct {
		numbers []int
		want    string
	}{
		{nil, ""}, {[]int{0}, "0"}, {[]int{1, 0}, "0,1"}, {[]int{2, 1, 0}, "0-2"},
		{[]int{1, 3, 4, 5, 7}, "1,3-5,7"}, {[]int{1, 1, 2, 9, 8}, "1,2,8,9"},
	} {
		s := Of(slices.Clone(tc.numbers))
		if s.String() != tc.want {
			t.Errorf("%v is %q, want %q", tc.numbers, s, tc.want)
		}
		again, err := Parse(tc.want, 10)
		if err != nil || !slices.Equal(again, s) {
			t.Errorf("%q is read as %v, %v", tc.want, again, err)
		}
		for n := range 10 {
			if s.Has(n) != slices.Contains(tc.numbers, n) {
				t.Errorf("%q has %d: %v", tc.want, n, s.Has(n))
			}
		}
	}
}

func TestTextsThatAreNoSets(t *testing.T) {
	for text, want := range map[string]string{
		"1-2-3":                `the fragment "1-2-3" violates the requirement that an index interval can have at most two parts separated by '-'`,
		"a":                    `cannot convert string to integer for index: "a"`,
		"1,":                   `cannot convert string to integer for index: ""`,
		"-1":                   `cannot convert string to integer for index: ""`,
		"1-b":                  `cannot convert string to integer for index: "b"`,
		"10":                   `too large index: "10"`,
		"8-10":                 `too large index: "10"`,
		"3,2":                  "non-increasing order, previous: 3, current: 2",
		"3-3":                  "non-increasing order, previous: 3, current: 3",
		"99999999999999999999": `cannot convert string to integer for index: "99999999999999999999"`,
	} {
		if s, err := Parse(text, 10); err == nil || err.Error() != want {
			t.Errorf("%q is %v, %v; want %s", text, s, err, want)
		}
	}
}

func TestSetsTogether(t *testing.T) {
	a, b := Of([]int{0, 1, 2, 7}), Of([]int{2, 3, 5, 7, 8})
	if got := a.With(b).String(); got != "0-3,5,7,8" {
		t.Errorf("together %q", got)
	}
	if n, first := a.Common(b); n != 2 || first != 2 {
		t.Errorf("%d in common, the first is %d", n, first)
	}
	if n, first := a.Common(Of([]int{4})); n != 0 || first != -1 {
		t.Errorf("%d in common, the first is %d", n, first)
	}
	if got := a.Below(2).String(); got != "0,1" || a.Len() != 4 {
		t.Errorf("below 2 are %q of %d", got, a.Len())
	}
	if got := a.Missing(10, 3); !slices.Equal(got, []int{3, 4, 5}) {
		t.Errorf("missing are %v", got)
	}
	if got := a.Missing(8, 9); !slices.Equal(got, []int{3, 4, 5, 6}) {
		t.Errorf("all that are missing are %v", got)
	}
	big, err := Parse("0-999999999", 1_000_000_000)
	if err != nil || len(big) != 1 || big.Len() != 1_000_000_000 {
		t.Errorf("%d runs, %v", len(big), err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "1", "1,3-5,7", "1-2-3", "-", ",", "00,1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text, 1000)
		if err != nil {
			return
		}
		again, err := Parse(s.String(), 1000)
		if err != nil || !slices.Equal(s, again) {
			t.Errorf("%q is %v, and read again %v, %v", text, s, again, err)
		}
	})
}
