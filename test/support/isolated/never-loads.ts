/** A module whose evaluation does not end. */
for (;;) Math.random();
