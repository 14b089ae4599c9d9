"""The pages: what a marketer, an engineer and a tester see. They ask the rooms below and decide nothing."""
