package status

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	operatorv1 "laterna.dev/laterna/api/operator/v1"
)

func TestNoRoomSaysWhenThereIs(t *testing.T) {
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	full := func(n int) *operatorv1.KubeAPIServerStatus {
		s := &operatorv1.KubeAPIServerStatus{ServiceAccountIssuers: []trusted{{Name: "https://active"}}}
		for i := range n - 1 {
			// The first of the list is the last to end.
			s.ServiceAccountIssuers = append(s.ServiceAccountIssuers, trusted{Name: fmt.Sprintf("https://%d", i), ExpirationTime: &metav1.Time{Time: at.Add(time.Duration(n-i) * time.Minute)}})
		}
		return s
	}
	for _, tc := range []struct {
		name    string
		now     *operatorv1.KubeAPIServerStatus
		want    string
		overlap time.Duration
		at      time.Time
		ends    string // "" means that there is room
		roomAt  time.Time
	}{
		{"nine", full(9), "https://new", time.Hour, at, "", time.Time{}},
		{"ten", full(10), "https://new", time.Hour, at, "https://8", at.Add(2 * time.Minute)},
		{"ten, of which the active one would end first", full(10), "https://new", time.Minute, at, "https://8", at.Add(2 * time.Minute)},
		{"ten, and former ones end at once", full(10), "https://new", 0, at, "", time.Time{}},
		{"ten, of which one is wanted", full(10), "https://3", time.Hour, at, "", time.Time{}},
		{"ten, of which one is active", full(10), "https://active", time.Hour, at, "", time.Time{}},
		{"ten, of which one has ended", full(10), "https://new", time.Hour, at.Add(2 * time.Minute), "", time.Time{}},
		{"twelve, written by hand", full(12), "https://new", time.Hour, at, "https://8", at.Add(4 * time.Minute)},
	} {
		next, err := Next(tc.now, tc.want, tc.overlap, tc.at)
		var many *TooManyError
		if tc.ends == "" {
			if err != nil || next[0].Name != tc.want || next[0].ExpirationTime != nil {
				t.Errorf("%s: %v, %v", tc.name, next, err)
			}
			continue
		}
		if !errors.As(err, &many) || many.Ends != tc.ends || !many.RoomAt.Equal(tc.roomAt) {
			t.Errorf("%s: %v, %v", tc.name, next, err)
			continue
		}
		// What is promised holds: at that time there is room, and a moment before not.
		if _, err := Next(tc.now, tc.want, tc.overlap, many.RoomAt.Add(-time.Second)); err == nil || err.Error() != many.Error() {
			t.Errorf("%s: before %s: %v", tc.name, many.RoomAt, err)
		}
		if _, err := Next(tc.now, tc.want, tc.overlap, many.RoomAt); err != nil {
			t.Errorf("%s: no room at %s: %v", tc.name, many.RoomAt, err)
		}
		if !slices.Contains(many.Names, "https://active") {
			t.Errorf("%s: %v", tc.name, many.Names)
		}
	}
}

func TestNoRoomAmongIssuersWithoutAnEnd(t *testing.T) {
	s := &operatorv1.KubeAPIServerStatus{}
	for i := range MaxIssuers {
		s.ServiceAccountIssuers = append(s.ServiceAccountIssuers, trusted{Name: fmt.Sprintf("https://%d", i)})
	}
	var many *TooManyError
	if _, err := Next(s, "https://new", time.Hour, time.Now()); !errors.As(err, &many) || many.Ends != "" || !strings.HasSuffix(err.Error(), "https://8, https://9") {
		t.Errorf("%v", err)
	}
}
