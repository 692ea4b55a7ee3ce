// table is a lookup table: what is asked for is a text from elsewhere at times, and of a plain
// object "constructor" and "__proto__" are found.
export const table = (entries) => Object.freeze(Object.assign(Object.create(null), entries));
