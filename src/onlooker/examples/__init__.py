"""Complete small trainings, to read and to run. They ship with the package; `onlooker demo` runs `gan_digits`."""
