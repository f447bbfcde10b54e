package siptest

import (
	"slices"
	"strings"
)

// diff returns both lists of lines as one, common lines once, "" if they are the same. Runs of blanks count as one.
func diff(want, got []string) string {
	same := func(a, b string) bool { return slices.Equal(strings.Fields(a), strings.Fields(b)) }
	if slices.EqualFunc(want, got, same) {
		return ""
	}
	// common[i][j] is the length of the longest common subsequence of want[i:] and got[j:].
	common := make([][]int, len(want)+1)
	for i := range common {
		common[i] = make([]int, len(got)+1)
	}
	for i := len(want) - 1; i >= 0; i-- {
		for j := len(got) - 1; j >= 0; j-- {
			if same(want[i], got[j]) {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var b strings.Builder
	line := func(mark, text string) {
		b.WriteString(strings.TrimRight(mark+"  "+text, " "))
		b.WriteByte('\n')
	}
	i, j := 0, 0
	for i < len(want) || j < len(got) {
		switch {
		case i < len(want) && j < len(got) && same(want[i], got[j]):
			line(" ", got[j])
			i, j = i+1, j+1
		case j == len(got) || i < len(want) && common[i+1][j] >= common[i][j+1]:
			line("-", pad(want[i]))
			i++
		default:
			line("+", got[j])
			j++
		}
	}
	return b.String()
}

// pad indents an expected line as printed ones are, so that the columns of a diff stand below each other.
func pad(line string) string {
	if dot := strings.IndexByte(line, '.'); dot >= 0 && dot < 3 {
		return strings.Repeat(" ", 3-dot) + line
	}
	return line
}
