"""The visual builder: a journey drawn on a canvas, as an outline, and in forms.

The browser owns positions, selection, undo and the clipboard; the server owns the document, its checks and its saving
(`editor.Editor`). They exchange small JSON texts; the server believes nothing it is sent.
"""
