package main

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// durations are measured times.
type durations []time.Duration

// quantile returns the q-quantile by the nearest rank: 0.5 is the median. It is 0
// for no durations.
func (d durations) quantile(q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(d))
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[max(rank, 1)-1]
}

func (d durations) median() time.Duration { return d.quantile(0.5) }

// spread tells the extremes and the number.
func (d durations) spread() string {
	return fmt.Sprintf("%s–%s ms, n=%d", number(ms(d.quantile(0))), number(ms(d.quantile(1))), len(d))
}

// figure returns the median in milliseconds with its spread.
func (d durations) figure(what string, budget time.Duration) figure {
	return figure{What: what, Value: ms(d.median()), Unit: "ms", Budget: ms(budget), Note: d.spread()}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// medianOf returns the middle of values by the nearest rank, 0 for none.
func medianOf(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(values))[(len(values)-1)/2]
}
