"""Where stations and units should stand: plans proposed from expected calls, judged by simulation, as tables and maps."""
