// Package schedule reads when a CronJob is due: its schedule and its time zone. It owns the
// library for that, and the time zones, which the program brings along for machines that
// have none.
//
// What is started when it is due is decided in internal/controller/cronjob, what a client
// may write in internal/registry/batch/cronjob.
package schedule

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	_ "time/tzdata" // zones for machines without them

	"github.com/robfig/cron/v3"
)

// Schedule tells when something is due.
type Schedule struct {
	due cron.Schedule
}

// Parse reads a schedule: five fields, or a name such as @daily, or @every and a duration.
func Parse(text string) (Schedule, error) {
	// The library takes what is before the first blank for the zone, and panics where
	// there is no blank.
	if (strings.HasPrefix(text, "TZ=") || strings.HasPrefix(text, "CRON_TZ=")) && !strings.Contains(text, " ") {
		return Schedule{}, errors.New("provided bad location: there is no schedule behind it")
	}
	due, err := cron.ParseStandard(text)
	return Schedule{due}, err
}

// NamesZone tells whether a schedule names a time zone itself, as old ones may.
func NamesZone(text string) bool { return strings.Contains(text, "TZ") }

// Next is when something is due after t, in the zone of t; the zero time where it never is.
func (s Schedule) Next(t time.Time) time.Time { return s.due.Next(t) }

// Every is the pause between the times of a schedule that has always the same one, and
// counts from when it was last due; 0 for all others.
func (s Schedule) Every() time.Duration {
	if d, ok := s.due.(cron.ConstantDelaySchedule); ok {
		return d.Delay
	}
	return 0
}

// zonePart is a part of a zone's name between slashes.
var zonePart = regexp.MustCompile(`^[A-Za-z._0-9+-]{1,14}$`)

// Zone is the time zone of a name of IANA's list.
func Zone(name string) (*time.Location, error) {
	if name == "" {
		return nil, errors.New("timeZone must be nil or non-empty string")
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "." || part == ".." || strings.HasPrefix(part, "-") || !zonePart.MatchString(part) {
			return nil, fmt.Errorf("unknown time zone %s", name)
		}
	}
	if strings.EqualFold(name, "Local") {
		return nil, errors.New("timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones")
	}
	return time.LoadLocation(name)
}
