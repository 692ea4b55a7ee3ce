package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"
)

func TestQuantilesAreNearestRanks(t *testing.T) {
	var d durations
	for i := 100; i > 0; i-- {
		d = append(d, time.Duration(i))
	}
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 50, 0.99: 99, 1: 100} {
		if got := d.quantile(q); got != want {
			t.Errorf("quantile %v is %d, want %d", q, got, want)
		}
	}
	if got := (durations{7}).quantile(0.99); got != 7 {
		t.Errorf("quantile of one value is %d", got)
	}
	if got := (durations{}).median(); got != 0 {
		t.Errorf("median of none is %d", got)
	}
	if got := medianOf([]float64{3, 1, 2, 9}); got != 2 {
		t.Errorf("median is %v", got)
	}
}

func TestTheTableMarksWhatIsOverItsBudget(t *testing.T) {
	r := &report{Commit: "abc", Cores: 2, LoadBefore: "1 2 3", LoadAfter: "4 5 6"}
	r.add(section{Name: "a", What: "a", Figures: []figure{
		{What: "within", Value: 200, Unit: "ms", Budget: 250, Note: "n=1"},
		{What: "above", Value: 1.234, Unit: "s", Budget: 1},
		{What: "free", Value: 12.04, Unit: "MiB"},
	}})
	r.add(section{Name: "b", What: "broken", Error: "it broke\nwith details"})
	var out bytes.Buffer
	r.print(&out)
	for _, want := range []string{
		"laterna abc,", "2 cores, load before 1 2 3, after 4 5 6",
		"within 200 ms ≤ 250 ms 0.80 ok n=1", "above 1.23 s ≤ 1 s 1.23 OVER", "free 12 MiB –", "broken – ERROR it broke",
	} {
		if got := strings.Join(strings.Fields(out.String()), " "); !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, out.String())
		}
	}
	if err := r.err(); err == nil || !strings.Contains(err.Error(), "b: it broke") {
		t.Errorf("error %v", err)
	}
}

func TestBenchmarkLinesAreRead(t *testing.T) {
	out := "goos: linux\nBenchmarkPublish-2   \t    1234\t    270100.5 ns/op\t  10 B/op\nBenchmarkSystemCalls \t 99\t 130 ns/op\nok\n"
	var got []string
	for _, m := range benchmarkLine.FindAllStringSubmatch(out, -1) {
		got = append(got, m[1]+"="+m[2])
	}
	if want := "Publish=270100.5 SystemCalls=130"; strings.Join(got, " ") != want {
		t.Errorf("read %q, want %q", got, want)
	}
}

func TestProcessesAreMeasured(t *testing.T) {
	before, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for begin := usage(); usage()-begin < 5*tick; {
	}
	after, err := cpuTime(os.Getpid())
	if err != nil || after-before < 4*tick {
		t.Errorf("CPU time went from %s to %s, %v", before, after, err)
	}
	if mib := rollup("Rss:   2048 kB\nPss:   1024 kB\nPss_Anon:  1 kB\n", "Pss:"); mib != 1 {
		t.Errorf("memory is %v MiB", mib)
	}
}

func TestNamesOfRowsAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rows {
		if seen[r.name] {
			t.Errorf("two rows are called %s", r.name)
		}
		seen[r.name] = true
	}
}
