package policy

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Years that Java's dates know, and so AWS's.
const minYear, maxYear = -292275054, 292278993

// parseDate reads a date as W3C's profile of ISO 8601 has it, from the year alone to parts
// of a second with an offset, or seconds since 1970. It returns milliseconds, beyond which
// AWS does not compare. Without an offset it is UTC. Four digits are a year.
func parseDate(s string) (int64, bool) {
	if !strings.ContainsAny(s, "Tt") && !strings.Contains(strings.TrimPrefix(s, "-"), "-") && (len(s) != 4 || !allDigits(s)) {
		return parseEpoch(s)
	}
	date, clock, hasClock := cutT(s)
	year, month, day, ok := parseDay(date)
	if !ok {
		return 0, false
	}
	var inDay time.Duration
	if hasClock && clock != "" {
		if inDay, ok = parseClock(clock); !ok {
			return 0, false
		}
	}
	seconds := daysOf(year, month, day)*86400 + int64(math.Floor(inDay.Seconds()))
	if inMillis := seconds * 1000; inMillis/1000 == seconds {
		return inMillis + int64(((inDay%time.Second)+time.Second)%time.Second/time.Millisecond), true
	}
	return 0, false
}

func cutT(s string) (date, clock string, ok bool) {
	i := strings.IndexAny(s, "Tt")
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// parseEpoch reads seconds, with or without a fraction.
func parseEpoch(s string) (int64, bool) {
	whole, fraction, hasFraction := strings.Cut(s, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || hasFraction && (fraction == "" || !allDigits(fraction)) {
		return 0, false
	}
	// What lies further off than milliseconds reach is only later or earlier than all else.
	if n > math.MaxInt64/1000-1 {
		return math.MaxInt64, true
	}
	if n < math.MinInt64/1000+1 {
		return math.MinInt64, true
	}
	millis, _ := strconv.ParseInt((fraction + "000")[:3], 10, 64)
	if strings.HasPrefix(whole, "-") {
		millis = -millis
	}
	return n*1000 + millis, true
}

func parseDay(s string) (year int64, month, day int, ok bool) {
	negative := strings.HasPrefix(s, "-")
	parts := strings.Split(strings.TrimPrefix(s, "-"), "-")
	if len(parts) > 3 {
		return 0, 0, 0, false
	}
	numbers := [3]int{1, 1, 1}
	for i, p := range parts {
		if numbers[i], ok = number(p, 9); !ok {
			return 0, 0, 0, false
		}
	}
	year = int64(numbers[0])
	if negative {
		year = -year
	}
	ok = year >= minYear && year <= maxYear && numbers[1] >= 1 && numbers[1] <= 12 && numbers[2] >= 1 && numbers[2] <= 31
	return year, numbers[1], numbers[2], ok
}

// parseClock reads hour[:minute[:second[.fraction]]] with Z or an offset, and returns the
// time since midnight, UTC.
func parseClock(s string) (time.Duration, bool) {
	s, offset, ok := cutOffset(s)
	if !ok {
		return 0, false
	}
	whole, fraction, hasFraction := strings.Cut(s, ".")
	parts := strings.Split(whole, ":")
	if len(parts) > 3 || hasFraction && (len(parts) != 3 || fraction == "" || len(fraction) > 9 || !allDigits(fraction)) {
		return 0, false
	}
	var d time.Duration
	for i, unit := range []time.Duration{time.Hour, time.Minute, time.Second} {
		if i == len(parts) {
			break
		}
		n, ok := number(parts[i], 2)
		if most := []int{23, 59, 59}[i]; !ok || n > most {
			return 0, false
		}
		d += time.Duration(n) * unit
	}
	if hasFraction {
		n, _ := strconv.Atoi((fraction + "000000000")[:9])
		d += time.Duration(n)
	}
	return d - offset, true
}

// cutOffset takes Z, +hh, +hh:mm or +hhmm off the end.
func cutOffset(s string) (string, time.Duration, bool) {
	if rest, ok := strings.CutSuffix(strings.ToUpper(s), "Z"); ok {
		return rest, 0, true
	}
	i := strings.IndexAny(s, "+-")
	if i < 0 {
		return s, 0, true
	}
	digits := strings.Replace(s[i+1:], ":", "", 1)
	if len(digits) == 2 {
		digits += "00"
	}
	if len(digits) != 4 || !allDigits(digits) {
		return "", 0, false
	}
	hours, _ := strconv.Atoi(digits[:2])
	minutes, _ := strconv.Atoi(digits[2:])
	if hours > 23 || minutes > 59 {
		return "", 0, false
	}
	offset := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	if s[i] == '-' {
		offset = -offset
	}
	return s[:i], offset, true
}

// number reads one to most digits.
func number(s string, most int) (int, bool) {
	if s == "" || len(s) > most || !allDigits(s) {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}

// daysOf counts the days since 1970 in the calendar of today, for years that time.Date does
// not reach. A day that the month does not have is one of the next.
func daysOf(year int64, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era := year / 400
	if year < 0 {
		era = (year - 399) / 400
	}
	ofEra := year - era*400
	ofYear := int64((153*(month-3)+2)/5 + day - 1)
	return era*146097 + ofEra*365 + ofEra/4 - ofEra/100 + ofYear - 719468
}
