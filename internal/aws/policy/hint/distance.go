package hint

// Nearest returns the one of the texts that differs least from what is wanted, the first of
// several. It is false if there are none.
func Nearest(want string, texts []string) (string, bool) {
	best, found := "", false
	least := 0
	for _, t := range texts {
		if n := distance(want, t); !found || n < least {
			best, least, found = t, n, true
		}
	}
	return best, found
}

// distance counts the characters to insert, delete or replace to come from one text to the
// other (Levenshtein), looking at their first 512 bytes.
func distance(a, b string) int {
	const most = 512
	a, b = a[:min(len(a), most)], b[:min(len(b), most)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
