/** A module that fails while it is loaded. */
throw Object.assign(new Error("the licence has expired"), { status: 402 });
