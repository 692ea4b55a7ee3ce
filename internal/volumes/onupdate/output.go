package onupdate

import (
	"strings"
	"unicode"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
)

// maxMessage is how long the message of an Event or an Outcome may be, in bytes.
const maxMessage = 1024

// withOutput adds what a command printed to a message of at most limit bytes: its
// errors, or else its output, in one line. What does not fit is cut off at the front,
// since the reason comes last.
func withOutput(message string, r ExecResult, limit int) string {
	printed := oneLine(r.Stderr)
	if printed == "" {
		printed = oneLine(r.Stdout)
	}
	if printed == "" {
		return shorten(message)
	}
	const more = "…"
	if room := limit - len(message) - len(": "); len(printed) > room {
		cut := printed[len(printed)-max(room-len(more), 0):]
		for len(cut) > 0 && !utf8.RuneStart(cut[0]) {
			cut = cut[1:]
		}
		printed = more + cut
	}
	return shorten(message + ": " + printed)
}

// oneLine makes output printable; lines are joined by "; ", as tables of Events show
// the first line only. Of long output the end is looked at.
func oneLine(output []byte) string {
	if len(output) > 4*maxMessage {
		output = output[len(output)-4*maxMessage:]
	}
	var lines []string
	for line := range strings.Lines(strings.ReplaceAll(string(output), "\r", "\n")) {
		line = strings.Map(printable, strings.ToValidUTF8(line, "?"))
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "; ")
}

func printable(r rune) rune {
	switch {
	case r == '\t' || r == '\n':
		return ' '
	case !unicode.IsPrint(r):
		return '?'
	}
	return r
}

// shorten cuts a message to what an Event may have.
func shorten(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	cut := maxMessage - len("…")
	for cut > 0 && !utf8.RuneStart(message[cut]) {
		cut--
	}
	return message[:cut] + "…"
}

// confidential tells whether a volume shows secrets, tokens or private keys.
func confidential(pod *corev1.Pod, volume string) bool {
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		if v.Name != volume {
			continue
		}
		if v.Projected == nil {
			return v.Secret != nil
		}
		for _, s := range v.Projected.Sources {
			if s.Secret != nil || s.ServiceAccountToken != nil || s.PodCertificate != nil {
				return true
			}
		}
		return false
	}
	return true // not a volume of the pod: nothing is known of it
}
