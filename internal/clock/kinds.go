package clock

import "k8s.io/utils/clock"

// API is the time that tokens, keys, issuers, credentials and back-offs live by. A
// system's is a *Clock. It is no Wall and cannot be given for one.
type API interface {
	clock.WithTickerAndDelayedExecution
	api()
}

// Wall is real time, as the machine has it: TLS, heartbeats, leases, deadlines of
// sockets, timestamps of objects, pauses of what has nothing to do with tokens. It is no
// API and cannot be given for one.
type Wall interface {
	clock.WithTickerAndDelayedExecution
	wall()
}

// Timer and Ticker are those of all clocks.
type (
	Timer  = clock.Timer
	Ticker = clock.Ticker
)

var _ API = &Clock{}

func (*Clock) api() {}

type apiOf struct {
	clock.WithTickerAndDelayedExecution
}

func (apiOf) api() {}

// APIOf lets a test's clock be the time of a system.
func APIOf(c clock.WithTickerAndDelayedExecution) API { return apiOf{c} }

type wallOf struct {
	clock.WithTickerAndDelayedExecution
}

func (wallOf) wall() {}

// WallOf lets a test's clock be real time.
func WallOf(c clock.WithTickerAndDelayedExecution) Wall { return wallOf{c} }

// Real returns the machine's clock. Programs make it where they are put together, in
// internal/app/up, internal/app/down and internal/cli, and hand it on (a rule of internal/arch).
func Real() Wall { return wallOf{clock.RealClock{}} }
