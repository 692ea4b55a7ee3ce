package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// figure is one measured number.
type figure struct {
	What  string  `json:"what"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	// Budget is in the same unit; 0 means that there is none.
	Budget float64 `json:"budget,omitempty"`
	// Note holds the spread and the baseline.
	Note string `json:"note,omitempty"`
}

// section holds the figures of one row.
type section struct {
	Name    string   `json:"name"`
	What    string   `json:"what"`
	Figures []figure `json:"figures"`
	Error   string   `json:"error,omitempty"`
	Seconds float64  `json:"seconds"`
}

// report is the outcome of a run.
type report struct {
	Commit     string    `json:"commit"`
	Time       time.Time `json:"time"`
	Cores      int       `json:"cores"`
	LoadBefore string    `json:"loadBefore"`
	LoadAfter  string    `json:"loadAfter"`
	Sections   []section `json:"sections"`
}

func newReport() *report {
	commit, _ := exec.Command("git", "describe", "--always", "--dirty").Output()
	return &report{
		Commit: strings.TrimSpace(string(commit)), Time: time.Now().UTC().Truncate(time.Second),
		Cores: runtime.NumCPU(), LoadBefore: loadAverage(),
	}
}

func (r *report) add(s section) { r.Sections = append(r.Sections, s) }

func (r *report) finish() { r.LoadAfter = loadAverage() }

// err returns what could not be measured.
func (r *report) err() error {
	var errs []error
	for _, s := range r.Sections {
		if s.Error != "" {
			errs = append(errs, fmt.Errorf("%s: %s", s.Name, s.Error))
		}
	}
	return errors.Join(errs...)
}

func (r *report) print(out io.Writer) {
	fmt.Fprintf(out, "\nlaterna %s, %s: %d cores, load before %s, after %s\n\n",
		r.Commit, r.Time.Format(time.RFC3339), r.Cores, r.LoadBefore, r.LoadAfter)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WHAT\tFIGURE\tBUDGET\tRATIO\t\tNOTE")
	for _, s := range r.Sections {
		for _, f := range s.Figures {
			fmt.Fprintln(w, f.line())
		}
		if s.Error != "" {
			message, _, _ := strings.Cut(s.Error, "\n")
			fmt.Fprintf(w, "%s\t–\t\t\tERROR\t%.120s\n", s.What, message)
		}
	}
	w.Flush()
}

// line is the figure as a row of the table.
func (f figure) line() string {
	budget, ratio, mark := "–", "", ""
	if f.Budget > 0 {
		budget = "≤ " + number(f.Budget) + " " + f.Unit
		ratio = strconv.FormatFloat(f.Value/f.Budget, 'f', 2, 64)
		mark = "ok"
		if f.Value > f.Budget {
			mark = "OVER"
		}
	}
	return strings.Join([]string{f.What, number(f.Value) + " " + f.Unit, budget, ratio, mark, f.Note}, "\t")
}

// number prints three significant digits, and no exponent.
func number(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
	default:
		return strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(v, 'f', 2, 64), "0"), ".")
	}
}

// loadAverage is the machine's load over 1, 5 and 15 minutes.
func loadAverage() string {
	raw, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(raw))[:3], " ")
}
