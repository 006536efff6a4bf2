/** A module of which a dependency is not installed. */
const name = "a-package-that-nobody-installed";
export default await import(name);
