package top

import (
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"laterna.dev/laterna/internal/top/picture"
)

// screen is what the terminal shows. Update and View are called from one goroutine.
type screen struct {
	cfg           Config
	width, height int

	all      []picture.Pod // as the API has told
	troubles []string
	ready    bool
	clock    picture.Clock

	view   view
	order  picture.Order
	filter string
	typing bool // the filter

	chosen [views]int // the row of each view that is chosen
	held   [views]row // what was in that row, which is held where rows change places
	// open is the pod that is looked at; empty for none.
	openNamespace, open string
	scroll              int
}

// changed and ticked are what wakes the screen besides keys.
type (
	changed struct{}
	ticked  struct{}
)

func newScreen(c Config) *screen { return &screen{cfg: c, width: 80, height: 24} }

// Init implements tea.Model.
func (s *screen) Init() tea.Cmd { return tea.Batch(s.awaitChange(0), s.tick()) }

// least is the time between two drawings of changes.
const least = 100 * time.Millisecond

func (s *screen) awaitChange(pause time.Duration) tea.Cmd {
	return func() tea.Msg {
		if pause > 0 {
			t := s.cfg.Clock.NewTimer(pause)
			defer t.Stop()
			<-t.C()
		}
		<-s.cfg.Watched.Changed()
		return changed{}
	}
}

// tick makes ages grow; nothing is asked for.
func (s *screen) tick() tea.Cmd {
	return tea.Every(time.Second, func(time.Time) tea.Msg { return ticked{} })
}

// Update implements tea.Model.
func (s *screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		s.width, s.height = msg.Width, msg.Height
	case changed:
		s.take()
		return s, s.awaitChange(least)
	case ticked:
		return s, s.tick()
	case tea.KeyPressMsg:
		return s, s.press(msg)
	}
	return s, nil
}

func (s *screen) take() {
	w := s.cfg.Watched
	s.all, s.troubles, s.ready, s.clock = picture.Of(w.Snapshot()), w.Troubles(), w.Ready(), w.Time()
}

// press does what a key is for.
func (s *screen) press(msg tea.KeyPressMsg) tea.Cmd {
	key := msg.String()
	if key == "ctrl+c" {
		return tea.Quit
	}
	if s.typing {
		s.typeFilter(key, msg.Text)
		return nil
	}
	if steps, ok := s.steps(key); ok {
		s.move(steps)
		return nil
	}
	switch key {
	case "q":
		return tea.Quit
	case "enter":
		s.enter()
	case "esc", "backspace", "left":
		s.back(key)
	case "tab", "right":
		s.show((s.view + 1) % views)
	case "shift+tab":
		s.show((s.view + views - 1) % views)
	case "1", "2", "3", "4":
		s.show(view(key[0] - '1'))
	case "s":
		s.order = s.order.Next()
	case "/":
		s.typing, s.open = true, ""
	}
	return nil
}

// mostFilter is how long a filter can be.
const mostFilter = 100

func (s *screen) typeFilter(key, text string) {
	switch key {
	case "enter":
		s.typing = false
	case "esc":
		s.typing, s.filter = false, ""
	case "backspace":
		if runes := []rune(s.filter); len(runes) > 0 {
			s.filter = string(runes[:len(runes)-1])
		}
	default:
		if len(s.filter)+len(text) <= mostFilter {
			s.filter += text
		}
	}
}

// steps says how far a key moves.
func (s *screen) steps(key string) (int, bool) {
	const far = 1 << 30
	n, ok := map[string]int{
		"up": -1, "k": -1, "down": 1, "j": 1, "pgup": -s.room(), "pgdown": s.room(), "space": s.room(),
		"home": -far, "g": -far, "end": far, "G": far,
	}[key]
	return n, ok
}

func (s *screen) move(steps int) {
	if s.open != "" {
		s.scroll = max(0, s.scroll+steps) // View knows the end
		return
	}
	_, rows := s.rows()
	if i := min(max(0, s.chosen[s.view]+steps), len(rows)-1); i >= 0 {
		s.chosen[s.view], s.held[s.view] = i, rows[i]
	}
}

func (s *screen) show(v view) { s.view, s.open = v, "" }

func (s *screen) enter() {
	if s.open != "" {
		return
	}
	_, rows := s.rows()
	if i := s.chosen[s.view]; i < len(rows) {
		s.openNamespace, s.open, s.scroll = rows[i].namespace, rows[i].pod, 0
	}
}

func (s *screen) back(key string) {
	switch {
	case s.open != "":
		s.open = ""
	case key == "esc":
		s.filter = ""
	}
}

// rows returns what the view shows, and keeps the choice within.
func (s *screen) rows() ([]column, []row) {
	pods := slices.DeleteFunc(slices.Clone(s.all), func(p picture.Pod) bool { return !p.Matches(s.filter) })
	picture.Sort(pods, s.order)
	columns, rows := table(s.view, pods, s.moment())
	if i := slices.IndexFunc(rows, s.held[s.view].same); i >= 0 {
		s.chosen[s.view] = i
	}
	s.chosen[s.view] = min(s.chosen[s.view], max(0, len(rows)-1))
	return columns, rows
}

func (s *screen) moment() moment { return moment{s.clock, s.cfg.Clock.Now()} }

// opened returns the pod that is looked at, nil where it is gone.
func (s *screen) opened() *picture.Pod {
	for i := range s.all {
		if s.all[i].Namespace == s.openNamespace && s.all[i].Name == s.open {
			return &s.all[i]
		}
	}
	return nil
}
