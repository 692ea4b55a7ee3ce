package review_test

import "testing"

// One check of a pod's token without the store's own cost. "remembered" is a
// token that was seen before, "first sight" one that was not.
func BenchmarkAuthenticate(b *testing.B) {
	b.Run("remembered", func(b *testing.B) {
		s := newSystem(b)
		token := s.mint(b, s.grant(pod, node))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.check(token); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("first sight", func(b *testing.B) {
		s := newSystem(b)
		tokens := make([]string, 6000) // more than are remembered
		for i := range tokens {
			tokens[i] = s.mint(b, s.grant(pod, node))
		}
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			if _, err := s.check(tokens[i%len(tokens)]); err != nil {
				b.Fatal(err)
			}
			i++
		}
	})
}
